//! Every input that is kept in the corpus, on every test run: the seeds that show the engine the way, and whatever it
//! found broken once.

use std::fs;
use std::path::Path;

#[test]
fn no_input_of_the_corpus_breaks_a_property() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, property) in fuzz::TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            // The name of the input is in the output of a failing test.
            println!("{}", path.display());
            property(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "no corpus for {name}");
    }
}

#[test]
fn every_start_of_an_input_of_the_corpus_holds_too() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, property) in fuzz::TARGETS {
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let input = fs::read(entry.unwrap().path()).unwrap();
            // Long inputs are cut at some places only: this is a test, not the engine.
            let step = input.len() / 256 + 1;
            (0..input.len())
                .step_by(step)
                .for_each(|end| property(&input[..end]));
        }
    }
}
