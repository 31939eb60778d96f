//! Files of objects.

use control::text::{Format, Outcome, find, items};
use translate::{Objects, Settings, Translation, Translator};

/// Mid-2026: certificates are valid or not, whenever this runs.
const NOW: i64 = 1_780_000_000;

/// YAML or JSON, decoded and translated: never a panic; twice gives the same; every place that is named exists.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // YAML 1.2.2 §5.4: a carriage return alone ends a line, too.
    let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap_or(u32::MAX);
    for format in [Format::Yaml, Format::Json] {
        let items = match items(text, format) {
            Ok(items) => items,
            Err(error) => {
                assert!((1..=lines + 1).contains(&error.mark.line), "{error:?}");
                continue;
            }
        };
        let mut objects = Objects::default();
        for item in items {
            assert!((1..=lines + 1).contains(&item.mark.line));
            match item.outcome {
                Outcome::Object { object, unread } => {
                    for field in unread {
                        let place = find(text, format, item.document, &item.base, &field.path);
                        assert_eq!(place, Some(field.mark), "{}", field.path);
                    }
                    objects.insert(object);
                }
                Outcome::Invalid { path, .. } => {
                    assert!(find(text, format, item.document, &item.base, &path).is_some());
                }
                Outcome::Unknown { .. } => {}
            }
        }
        let settings = Settings {
            watch_ingress_without_class: true,
            ..Settings::default()
        };
        let mut translator = Translator::new(settings.clone());
        let first = shown(&translator.translate(&objects, NOW));
        assert_eq!(
            first,
            shown(&translator.translate(&objects, NOW)),
            "translated again"
        );
        assert_eq!(
            first,
            shown(&Translator::new(settings).translate(&objects, NOW)),
            "by another translator"
        );
    }
}

fn shown(translation: &Translation) -> String {
    let parts = (
        serde_json::to_string(&translation.snapshot),
        serde_json::to_string(&translation.statuses),
        serde_json::to_string(&translation.diagnostics),
    );
    format!("{parts:?}")
}
