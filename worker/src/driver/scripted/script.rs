//! The directives that a scripted message may hold, and how they are read. The list is in the driver's documentation.

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Directive {
    Say(String),
    Think(String),
    Spam(u64),
    Write { path: String, content: String },
    Run(String),
    Sleep(u64),
    Recall,
    Input(String),
    Fail(String),
    Hang,
}

/// Reads the directives of a message.
pub(super) fn parse(text: &str) -> Vec<Directive> {
    let mut directives = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let directive = match (word, rest) {
            ("hang", "") => Some(Directive::Hang),
            ("recall", "") => Some(Directive::Recall),
            (_, "") => None,
            ("say", _) => Some(Directive::Say(rest.to_owned())),
            ("think", _) => Some(Directive::Think(rest.to_owned())),
            ("spam", _) => rest.parse().ok().map(Directive::Spam),
            ("sleep", _) => rest.parse().ok().map(Directive::Sleep),
            ("run", _) => Some(Directive::Run(rest.to_owned())),
            ("input", _) => Some(Directive::Input(rest.to_owned())),
            ("fail", _) => Some(Directive::Fail(rest.to_owned())),
            ("write", _) => rest.split_once(' ').map(|(path, content)| {
                let content = match content.trim().strip_prefix("<<") {
                    Some(word) => heredoc(&mut lines, word.trim()),
                    None => format!("{content}\n"),
                };
                Directive::Write {
                    path: path.to_owned(),
                    content,
                }
            }),
            _ => None,
        };
        directives.extend(directive);
    }
    directives
}

/// The lines up to `word`; if it never comes, nothing is consumed and the word itself is the content.
fn heredoc(lines: &mut std::str::Lines<'_>, word: &str) -> String {
    let mut ahead = lines.clone();
    let mut content = String::new();
    while let Some(line) = ahead.next() {
        if line.trim() == word {
            *lines = ahead;
            return content;
        }
        content.push_str(line);
        content.push('\n');
    }
    format!("{word}\n")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn directives_are_read_and_other_lines_passed_over() {
        let write = |path: &str, content: &str| Directive::Write {
            path: path.to_owned(),
            content: content.to_owned(),
        };
        let text = "Please do this:\n  say hello there\nwrite a.txt one line\nwrite b.txt <<END\n1\n\n say 2\nEND\n\
                    write c.txt <<word\nspam 3\nspam many\nsleep 5\nrecall\nsay\nhang\nfail no luck\ninput why?";
        assert_eq!(
            parse(text),
            [
                Directive::Say("hello there".to_owned()),
                write("a.txt", "one line\n"),
                write("b.txt", "1\n\n say 2\n"),
                write("c.txt", "word\n"),
                Directive::Spam(3),
                Directive::Sleep(5),
                Directive::Recall,
                Directive::Hang,
                Directive::Fail("no luck".to_owned()),
                Directive::Input("why?".to_owned()),
            ]
        );
        assert_eq!(parse("Write a REST API, with tests"), []);
    }
}
