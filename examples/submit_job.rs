//! Hands a job to a captain and prints its id: `submit_job URL TOKEN_FILE GOAL`.
//!
//! The whole of what a program needs to start work: one POST with a bearer token.

use std::{env, error::Error, fs, io::Write};

use a2a_proto::client::{HttpOptions, http_client};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, token_file, goal] = arguments.as_slice() else {
        return Err("usage: submit_job URL TOKEN_FILE GOAL".into());
    };
    let token = fs::read_to_string(token_file)?;
    let answer = http_client(&HttpOptions::default())?
        .post(format!("{url}/jobs"))
        .bearer_auth(token.trim())
        .json(&json!({"goal": goal}))
        .send()
        .await?;
    let status = answer.status();
    let job: Value = answer.json().await?;
    match job["id"].as_str() {
        Some(id) => writeln!(std::io::stdout(), "{id}")?,
        None => return Err(format!("the captain answered {status}: {job}").into()),
    }
    Ok(())
}
