//! A pasted `curl` command: only what bears on routing is looked at.

use super::request::{Request, field};

/// Reads a whole command line, `curl` included.
pub fn read(line: &str) -> Result<Request, String> {
    let words = words(line)?;
    let mut method = None;
    let mut url = None;
    let mut headers = Vec::new();
    let mut has_body = false;
    let mut rest = words.into_iter().skip(1);
    while let Some(word) = rest.next() {
        let (flag, attached) = split_flag(&word);
        let mut value = || match attached.clone() {
            Some(value) => Ok(value),
            None => rest
                .next()
                .ok_or_else(|| format!("`{flag}` of curl lacks its value")),
        };
        match flag.as_str() {
            "-X" | "--request" => method = Some(value()?),
            "-H" | "--header" => headers.push(field(&value()?)?),
            "-A" | "--user-agent" => headers.push(("user-agent".into(), value()?)),
            "-e" | "--referer" => headers.push(("referer".into(), value()?)),
            "-b" | "--cookie" => headers.push(("cookie".into(), value()?)),
            "-d" | "--data" | "--data-raw" | "--data-binary" | "--data-urlencode" | "--json" | "-F"
            | "--form" => {
                value()?;
                has_body = true;
            }
            "-I" | "--head" => method = Some("HEAD".into()),
            "--url" => url = Some(value()?),
            _ if TAKE_A_VALUE.contains(&flag.as_str()) => {
                value()?;
            }
            _ if word.starts_with('-') => {}
            _ => url = Some(word),
        }
    }
    let url = url.ok_or("the curl command has no URL")?;
    let default = if has_body { "POST" } else { "GET" };
    let mut request = Request::new(method.as_deref().unwrap_or(default), &url)?;
    request.headers = headers;
    Ok(request)
}

/// Splits a line into words as a shell does, with quotes and backslashes and without expansions.
pub fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err(format!("a quote {letter} is not closed")),
                        Some(end) if end == letter => break,
                        Some('\\') if letter == '"' => word.extend(letters.next()),
                        Some(inside) => word.push(inside),
                    }
                }
            }
            // A backslash before the end of a line joins lines.
            '\\' => match letters.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            _ if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

/// `-XPOST` and `--header=x: y` carry their value with them.
fn split_flag(word: &str) -> (String, Option<String>) {
    if let Some(long) = word.strip_prefix("--") {
        return match long.split_once('=') {
            Some((name, value)) => (format!("--{name}"), Some(value.to_owned())),
            None => (word.to_owned(), None),
        };
    }
    match word.char_indices().nth(2) {
        Some((end, _)) if word.starts_with('-') && "XHAebdFomuxwT".contains(&word[1..end]) => {
            (word[..end].to_owned(), Some(word[end..].to_owned()))
        }
        _ => (word.to_owned(), None),
    }
}

/// Flags that have nothing to do with routing and take a value, which must not be taken for the URL.
const TAKE_A_VALUE: &[&str] = &[
    "-o",
    "--output",
    "-m",
    "--max-time",
    "-u",
    "--user",
    "-x",
    "--proxy",
    "-w",
    "--write-out",
    "-T",
    "--upload-file",
    "--resolve",
    "--connect-to",
    "--connect-timeout",
    "--retry",
    "--cacert",
    "--cert",
    "--key",
    "-E",
    "-c",
    "-D",
    "--cookie-jar",
    "--dump-header",
    "--limit-rate",
    "--interface",
];

#[cfg(test)]
mod tests {
    use super::{read, words};

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(
            words(r#"a 'b c' "d \" e" f\ g ''"#).unwrap(),
            ["a", "b c", "d \" e", "f g", ""]
        );
        assert_eq!(words("curl \\\n  x").unwrap(), ["curl", "x"]);
        assert!(words("it's").is_err());
    }

    #[test]
    fn only_what_bears_on_routing_is_taken() {
        let request = read(
            "curl -sk -o /dev/null --resolve a.example:443:127.0.0.1 -H 'Host: b.example' -d x=1 https://a.example/p",
        )
        .unwrap();
        assert_eq!(request.method, "POST");
        assert_eq!(request.url(), "https://a.example/p");
        assert_eq!(request.host(), "b.example");
        assert_eq!(read("curl -XPUT a.example").unwrap().method, "PUT");
        assert_eq!(read("curl -I a.example").unwrap().method, "HEAD");
        assert!(read("curl -s").is_err());
    }
}
