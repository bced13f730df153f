//! A streamed answer and a whole one say the same.

use super::*;

fn step() -> Step {
    let call = |content: &str| Call {
        tool: "write".to_owned(),
        args: [("content".to_owned(), Value::from(content))]
            .into_iter()
            .collect(),
        files: Default::default(),
    };
    Step {
        think: vec!["hm, ".to_owned(), "yes".to_owned()],
        say: vec!["I write ".to_owned(), "two files".to_owned()],
        calls: vec![call(&"größe ".repeat(200)), call("short")],
        ..Step::default()
    }
}

const CUE: Cue<'_> = Cue {
    model: "m",
    answers: 3,
    request_bytes: 4000,
};

/// What a client puts together from the chunks.
fn assemble(frames: &[String]) -> Value {
    let mut text = [String::new(), String::new()];
    let mut calls: Vec<(String, String, String)> = Vec::new();
    let mut finish = Value::Null;
    let mut usage = Value::Null;
    for frame in frames.iter().filter(|f| *f != "[DONE]") {
        let chunk: Value = serde_json::from_str(frame).unwrap();
        if !chunk["usage"].is_null() {
            usage = chunk["usage"].clone();
            continue;
        }
        let delta = &chunk["choices"][0]["delta"];
        for (slot, key) in text.iter_mut().zip(["content", "reasoning_content"]) {
            slot.push_str(delta[key].as_str().unwrap_or_default());
        }
        for part in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(part["index"].as_u64().unwrap()).unwrap();
            if calls.len() == index {
                let name = part["function"]["name"].as_str().unwrap().to_owned();
                calls.push((part["id"].as_str().unwrap().to_owned(), name, String::new()));
            }
            calls[index]
                .2
                .push_str(part["function"]["arguments"].as_str().unwrap());
        }
        if !chunk["choices"][0]["finish_reason"].is_null() {
            finish = chunk["choices"][0]["finish_reason"].clone();
        }
    }
    let calls: Vec<Value> = calls
        .into_iter()
        .map(|(id, name, arguments)| {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
        })
        .collect();
    let [content, reasoning] = text;
    json!({
        "choices": [{"index": 0, "finish_reason": finish, "message": {
            "role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": calls,
        }}],
        "usage": usage,
    })
}

#[test]
fn streamed_chunks_add_up_to_the_whole_completion() {
    let step = step();
    let mut frames = chunks(&step, &CUE);
    frames.extend(ending(&step, &CUE, true));
    assert_eq!(frames.last().map(String::as_str), Some("[DONE]"));
    let whole = completion(&step, &CUE);
    let streamed = assemble(&frames);
    assert_eq!(streamed["choices"], whole["choices"]);
    assert_eq!(streamed["usage"], whole["usage"]);
    assert_eq!(whole["usage"]["prompt_tokens"], 1000);
}

#[test]
fn usage_of_the_scenario_wins_and_is_only_streamed_when_asked_for() {
    let step = Step {
        say: vec!["hi".to_owned()],
        usage: Some(Usage {
            input: 7,
            output: 5,
        }),
        ..Step::default()
    };
    assert_eq!(completion(&step, &CUE)["usage"]["total_tokens"], 12);
    assert_eq!(ending(&step, &CUE, false).len(), 2);
    assert_eq!(
        completion(&step, &CUE)["choices"][0]["finish_reason"],
        "stop"
    );
}
