//! Every file of the corpus is replayed: what a fuzzer found once stays mended, on the stable toolchain too.

use narthex_fuzz::TARGETS;
use std::path::Path;

#[test]
fn every_file_of_the_corpus_keeps_its_properties() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in TARGETS {
        let directory = corpus.join(name);
        let mut replayed = 0;
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            println!("{}", path.display());
            target(&bytes);
            // Cut short: what a reader meets while bytes are still on their way.
            for end in (0..bytes.len()).step_by(bytes.len() / 16 + 1) {
                target(&bytes[..end]);
            }
            replayed += 1;
        }
        assert!(replayed >= 5, "{name} has a corpus");
    }
}
