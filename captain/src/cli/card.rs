//! `captain card`: keys for agent cards, signing a card, verifying one. It needs no running captain: files in, files out,
//! and at most one fetch of a public card.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use a2a_proto::auth::{
    CardAlgorithm, CardKey, CardKeys, CardProblem, CardSigner, Form, Jwks, VerifiedCard,
    named_key_sets, parse_strict, verify,
};
use a2a_proto::card::WELL_KNOWN;
use a2a_proto::client::{ClientError, ClientOptions, fetch_card_bytes};
use a2a_proto::clock::{Clock, SystemClock};
use a2a_proto::types::{AgentCard, Validate as _, from_slice};
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use daemon::a2a::load_key;
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::state::write_private;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;

use super::args::Cli;
use super::{connect, output};

/// A card is a page or two; a file above this is not one.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Seconds in a day, for the life of a key.
const DAY: i64 = 24 * 60 * 60;

/// What to do with agent cards.
#[derive(Debug, Subcommand)]
pub(crate) enum CardCommand {
    /// Make a key that signs cards, and the key set that verifies them
    #[command(after_help = "\
The private key goes into a new file that only you can read; the public key set is printed, or written with --jwks.

Examples:
  captain card key --key card-key.pem --jwks card-keys.json
  captain card key --key card-key.pem --alg es256 --kid 2026-11 --days 365 > card-keys.json")]
    Key(KeyArgs),
    /// Sign an agent card
    #[command(after_help = "\
The card is printed with the new signatures, or written with --output. Two keys sign twice: that is how keys are
changed without a moment in which a verifier knows neither.

Examples:
  captain card sign agent-card.json --key card-key.pem -o signed-card.json
  captain card sign agent-card.json --key old.pem --key new.pem > signed-card.json")]
    Sign(SignArgs),
    /// Verify the signatures of an agent card
    #[command(after_help = "\
Exit code 0: one of its signatures is good. 1: none is, or there is none. 64: the card or the key set cannot be read.
69: the card cannot be fetched.

Examples:
  captain card verify signed-card.json --keys card-keys.json
  captain card verify https://agent.example --keys card-keys.json
  captain card verify https://agent.example --jku https://agent.example/keys.json")]
    Verify(VerifyArgs),
}

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Alg {
    /// Ed25519
    Eddsa,
    /// ECDSA with P-256, which every verifier knows
    Es256,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Where the private key goes; the file must not exist yet
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: PathBuf,
    /// Write the public key set to this file instead of standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    jwks: Option<PathBuf>,
    /// What the key signs with
    #[arg(long, value_enum, default_value = "eddsa")]
    alg: Alg,
    /// What signatures call the key [default: its thumbprint]
    #[arg(long, value_name = "ID")]
    kid: Option<String>,
    /// The key counts for this many days [default: without end]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The card, a JSON file
    #[arg(value_name = "CARD", value_hint = ValueHint::FilePath)]
    card: PathBuf,
    /// A private key from `captain card key`, or another in PKCS#8 PEM; may be given several times
    #[arg(long = "key", value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    keys: Vec<PathBuf>,
    /// What the signature calls the key [default: its thumbprint]; as many as there are keys
    #[arg(long = "kid", value_name = "ID")]
    kids: Vec<String>,
    /// Where verifiers find the public keys
    #[arg(long, value_name = "URL")]
    jku: Option<Url>,
    /// Take the signatures out that the card has already
    #[arg(long)]
    replace: bool,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The card, a JSON file, or where its agent is
    #[arg(value_name = "CARD|URL")]
    card: String,
    /// The keys that are trusted, a JWK set
    #[arg(long, value_name = "FILE", required_unless_present = "jku", value_hint = ValueHint::FilePath)]
    keys: Option<PathBuf>,
    /// Trust the key set at this https address if a signature names it; may be given several times
    #[arg(long, value_name = "URL")]
    jku: Vec<Url>,
    /// Also accept signatures that do not cover empty members, as some SDKs make them
    #[arg(long)]
    reduced: bool,
}

/// Runs one of the commands.
pub(crate) async fn run(cli: &Cli, command: &CardCommand) -> Result<Exit, Failure> {
    match command {
        CardCommand::Key(args) => key(args),
        CardCommand::Sign(args) => sign(args),
        CardCommand::Verify(args) => check(cli, args).await,
    }
}

fn key(args: &KeyArgs) -> Result<Exit, Failure> {
    if args.key.exists() {
        let text = format!("{} is there already", args.key.display());
        return Err(Failure::new(Exit::BadInput, text)
            .with_hint("a key is never overwritten: name another file, or move this one away"));
    }
    let algorithm = match args.alg {
        Alg::Eddsa => CardAlgorithm::EdDsa,
        Alg::Es256 => CardAlgorithm::Es256,
    };
    let mut key = CardKey::generate(algorithm)
        .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
    if let Some(kid) = &args.kid {
        key = key.with_kid(kid);
    }
    let mut jwks = key.jwks();
    for public in &mut jwks.keys {
        let now = SystemClock.now().as_second();
        public.exp = args.days.map(|days| now + i64::from(days) * DAY);
    }
    write_private(&args.key, key.to_pem().expose_secret().as_bytes())
        .map_err(|error| Failure::from_error(Exit::Io, &error))?;
    write(args.jwks.as_deref(), &json!(jwks))?;
    Ok(Exit::Ok)
}

fn sign(args: &SignArgs) -> Result<Exit, Failure> {
    let bytes = read(&args.card)?;
    let wrong = |why: String| bad_file(&args.card, &why);
    let mut document = parse_strict(&bytes).map_err(|error| wrong(error.to_string()))?;
    let card: AgentCard = from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    card.validate().map_err(|error| {
        wrong(error.to_string())
            .with_hint("a card is signed when it is complete: add what is missing")
    })?;
    if !args.kids.is_empty() && args.kids.len() != args.keys.len() {
        let text = format!(
            "{} --kid for {} --key: give one for each key, in the same order",
            args.kids.len(),
            args.keys.len()
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let mut keys = Vec::new();
    for (index, file) in args.keys.iter().enumerate() {
        let key = load_key(file)?;
        keys.push(match args.kids.get(index) {
            Some(kid) => key.with_kid(kid),
            None => key,
        });
    }
    if args.replace
        && let Some(members) = document.as_object_mut()
    {
        members.remove("signatures");
    }
    let mut signer = CardSigner::new(keys);
    if let Some(jku) = &args.jku {
        signer = signer.with_jku(jku.as_str());
    }
    signer
        .sign_document(&mut document)
        .map_err(|error| Failure::from_error(Exit::BadInput, &error))?;
    write(args.output.as_deref(), &document)?;
    Ok(Exit::Ok)
}

async fn check(cli: &Cli, args: &VerifyArgs) -> Result<Exit, Failure> {
    let options = ClientOptions::new(connect::http()?);
    let card = match Url::parse(&args.card) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => fetch(url, &options).await?,
        _ => read(Path::new(&args.card))?,
    };
    let mut keys = CardKeys::new(match &args.keys {
        Some(file) => serde_json::from_slice(&read(file)?)
            .map_err(|error| bad_file(file, &format!("not a JWK set: {error}")))?,
        None => Jwks::default(),
    });
    for name in named_key_sets(&card) {
        let named = Url::parse(&name).ok();
        let allowed = args.jku.iter().find(|url| Some(*url) == named.as_ref());
        if let Some(url) = allowed.filter(|url| url.scheme() == "https") {
            let body = fetch(url.clone(), &options).await?;
            let set = serde_json::from_slice(&body).map_err(|error| {
                Failure::new(Exit::BadInput, format!("{url} holds no JWK set: {error}"))
            })?;
            keys.add(name, set);
        }
    }
    let mut forms = vec![Form::Standard, Form::Verbatim];
    if args.reduced {
        forms.push(Form::Reduced);
    }
    report(cli, verify(&card, &keys, &forms, SystemClock.now()))
}

fn report(cli: &Cli, result: Result<VerifiedCard, CardProblem>) -> Result<Exit, Failure> {
    match result {
        Ok(good) => {
            let VerifiedCard {
                kid,
                alg,
                form,
                index,
            } = good;
            let (number, form) = (index + 1, form.name());
            if cli.json {
                let line = json!({"verified": true, "kid": kid, "alg": alg, "form": form, "signature": number});
                output::line(&line.to_string())?;
            } else if !cli.quiet {
                output::line(&format!(
                    "verified: signature {number} is good (key {kid}, {alg}, {form} form)"
                ))?;
            }
            Ok(Exit::Ok)
        }
        Err(problem) => {
            if cli.json {
                let line = json!({"verified": false, "problem": problem.to_string()});
                output::line(&line.to_string())?;
            }
            let exit = match problem {
                CardProblem::Malformed { .. } => Exit::BadInput,
                CardProblem::Unsigned
                | CardProblem::TooMany { .. }
                | CardProblem::NoneGood { .. } => Exit::WorkFailed,
            };
            Err(Failure::from_error(exit, &problem))
        }
    }
}

async fn fetch(url: Url, options: &ClientOptions) -> Result<Vec<u8>, Failure> {
    // An agent's address stands for its card; an address of a file is taken as it is.
    let mut address = url.clone();
    if !url.path().ends_with(".json") {
        address.set_path(&format!("{}{WELL_KNOWN}", url.path().trim_end_matches('/')));
    }
    let body = fetch_card_bytes(&address, options).await.map_err(|error| {
        let exit = match error {
            ClientError::Agent(_) | ClientError::TooLarge { .. } => Exit::BadInput,
            _ => Exit::Unavailable,
        };
        let text = format!("cannot fetch {address}: {}", daemon::cli::chain(&error));
        Failure::new(exit, text)
    })?;
    Ok(body.to_vec())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let size = std::fs::metadata(file).map_err(|error| bad_file(file, &error.to_string()))?;
    if size.len() > MAX_FILE_BYTES {
        return Err(bad_file(file, "it is larger than 1 MiB"));
    }
    std::fs::read(file).map_err(|error| bad_file(file, &error.to_string()))
}

fn bad_file(file: &Path, why: &str) -> Failure {
    Failure::new(
        Exit::BadInput,
        format!("cannot use {}: {why}", file.display()),
    )
}

fn write(file: Option<&Path>, document: &Value) -> Result<(), Failure> {
    let text = format!("{document:#}\n");
    match file {
        None => output::bytes(text.as_bytes()),
        Some(file) => std::fs::File::create(file)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| output::failed(&file.display().to_string(), &error)),
    }
}

#[cfg(test)]
mod tests;
