//! Pieces as a line each (`attempt:id:size[+][!]`, `+` appends, `!` is the last), against the list that they make.

use super::{ArtifactChunk, Artifacts};
use crate::ids::{Attempt, SubtaskId};

fn check(input: &str, expect: &str) {
    let subtask = SubtaskId::parse("s").unwrap();
    let mut artifacts = Artifacts::default();
    for piece in input.split_whitespace() {
        let [attempt, id, size] = piece.split(':').collect::<Vec<_>>()[..] else {
            panic!("bad case {piece}")
        };
        let chunk = ArtifactChunk {
            id: id.to_owned(),
            name: id.to_owned(),
            path: id.to_owned(),
            media_type: "text/plain".to_owned(),
            size: size.trim_end_matches(['+', '!']).parse().unwrap(),
            append: size.contains('+'),
            last: size.contains('!'),
        };
        artifacts.add(&subtask, Attempt(attempt.parse().unwrap()), &chunk);
    }
    let got: Vec<String> = artifacts
        .of(&subtask)
        .map(|a| {
            format!(
                "{}:{}:{}{}",
                a.attempt,
                a.id,
                a.size,
                if a.complete { "!" } else { "" }
            )
        })
        .collect();
    assert_eq!(got.join(" "), expect, "for {input:?}");
    assert_eq!(artifacts.iter().count(), got.len());
}

#[test]
fn pieces_make_a_list() {
    check("", "");
    check("1:a:5! 1:b:7!", "1:a:5! 1:b:7!");
    check("1:a:5 1:a:3+ 1:a:2+!", "1:a:10!");
    check("1:a:5 1:b:1! 1:a:3+", "1:a:8 1:b:1!");
    // Without `append` a piece replaces the artifact, and with it but without a beginning it is the beginning.
    check("1:a:5! 1:a:2!", "1:a:2!");
    check("1:a:5+!", "1:a:5!");
}

#[test]
fn a_later_attempt_replaces_all_of_an_earlier_one() {
    check("1:a:5! 1:b:5! 2:b:1!", "2:b:1!");
}
