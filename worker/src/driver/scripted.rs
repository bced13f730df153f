//! A driver without a model: the message itself says what the "agent" does. For tests of everything around an agent.
//!
//! A message holds directives, one per line; other lines are ignored, and a message without any is echoed. `write` and `run` go
//! through the real sandbox.
//!
//! | directive | what happens |
//! |---|---|
//! | `say TEXT` | a piece of text, with a line end |
//! | `think TEXT` | a piece of thought |
//! | `spam N` | N pieces of text, `chunk 1` to `chunk N` |
//! | `write PATH TEXT` | the file gets that line |
//! | `write PATH <<WORD` … `WORD` | the file gets the lines between; without a closing WORD it gets the line `WORD` itself |
//! | `run COMMAND` | the shell command runs; its output streams; its failure does not end the turn |
//! | `sleep MS` | a pause |
//! | `recall` | says which turn of the session this is and what its first message was |
//! | `input QUESTION` | the turn ends in need of an answer; the answer's directives run, then the rest of this message |
//! | `fail REASON` | the turn fails |
//! | `hang` | nothing more, until cancelled |

mod script;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::activity::Usage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use script::{Directive, parse};

use super::process::{Launch, Launcher, Process, ProcessHandle};
use super::{
    BoxFuture, COMMAND_QUEUE, Command, Driver, DriverError, DriverEvent, DriverSession,
    EVENT_QUEUE, SessionSpec, StopReason, ToolCall,
};

/// Largest piece of a command's output in one event.
const OUTPUT_PIECE: usize = 8 * 1024;

/// The driver.
#[derive(Debug)]
pub(crate) struct Scripted {
    launcher: Arc<Launcher>,
    tracker: TaskTracker,
}

impl Scripted {
    pub(crate) fn new(launcher: Arc<Launcher>, tracker: TaskTracker) -> Self {
        Self { launcher, tracker }
    }
}

impl Driver for Scripted {
    fn start(&self, _spec: SessionSpec) -> BoxFuture<'_, Result<DriverSession, DriverError>> {
        Box::pin(async move {
            let (command_sender, commands) = mpsc::channel(COMMAND_QUEUE);
            let (events, event_receiver) = mpsc::channel(EVENT_QUEUE);
            let stop = CancellationToken::new();
            let player = Player {
                launcher: Arc::clone(&self.launcher),
                events,
                stop: stop.clone(),
                turn: CancellationToken::new(),
                prompts: 0,
                first: String::new(),
                tools: 0,
                rest: Vec::new(),
            };
            let done = self.tracker.spawn(player.run(commands));
            Ok(DriverSession::new(
                None,
                event_receiver,
                command_sender,
                ProcessHandle::of_task(stop, done),
            ))
        })
    }
}

/// Why a script ended before its end.
enum Cut {
    /// It was told to stop, and everything that it started is gone.
    Stopped,
    /// It said so.
    Failed(String),
    /// Nobody listens any more.
    Gone,
}

struct Player {
    launcher: Arc<Launcher>,
    events: mpsc::Sender<DriverEvent>,
    stop: CancellationToken,
    /// Cancelled to stop the present turn.
    turn: CancellationToken,
    prompts: u64,
    first: String,
    tools: u64,
    /// What comes after a question, once it is answered.
    rest: Vec<Directive>,
}

impl Player {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let stop = self.stop.clone();
        loop {
            let command = tokio::select! {
                () = stop.cancelled() => return,
                command = commands.recv() => command,
            };
            let text = match command {
                None => return,
                // Nothing is being worked on.
                Some(Command::Cancel) => continue,
                Some(Command::Prompt(text)) => text,
            };
            let turn = stop.child_token();
            self.turn = turn.clone();
            // The script is told to stop and not dropped: it ends its command, with everything below it, before it says so.
            let played = {
                let play = self.play(text);
                tokio::pin!(play);
                loop {
                    tokio::select! {
                        played = &mut play => break played,
                        () = cancelled(&mut commands), if !turn.is_cancelled() => turn.cancel(),
                    }
                }
            };
            let event = match played {
                Ok(reason) => DriverEvent::TurnEnded(reason),
                Err(Cut::Stopped) => DriverEvent::TurnEnded(StopReason::Cancelled),
                Err(Cut::Failed(message)) => DriverEvent::Error { message },
                Err(Cut::Gone) => return,
            };
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }

    async fn play(&mut self, text: String) -> Result<StopReason, Cut> {
        self.prompts += 1;
        if self.prompts == 1 {
            self.first.clone_from(&text);
        }
        let mut script = parse(&text);
        if script.is_empty() {
            self.say(format!("{text}\n")).await?;
        }
        script.append(&mut self.rest);
        let mut script = script.into_iter();
        while let Some(directive) = script.next() {
            match directive {
                Directive::Say(text) => self.say(format!("{text}\n")).await?,
                Directive::Think(text) => {
                    self.send(DriverEvent::Thought {
                        message_id: self.message_id(),
                        delta: text,
                    })
                    .await?;
                }
                Directive::Spam(count) => self.spam(count).await?,
                Directive::Write { path, content } => {
                    // The path goes in as an argument, so that no part of it is shell syntax.
                    let script = r#"exec 2>&1; mkdir -p -- "$(dirname -- "$1")" && cat > "$1""#;
                    let argv = ["sh", "-c", script, "sh", &path]
                        .map(str::to_owned)
                        .to_vec();
                    self.tool(
                        "write",
                        "edit",
                        format!("write {path}"),
                        vec![path],
                        argv,
                        Some(content),
                    )
                    .await?;
                }
                Directive::Run(command) => {
                    let argv = ["sh", "-c", &format!("exec 2>&1\n{command}")]
                        .map(str::to_owned)
                        .to_vec();
                    self.tool("run", "execute", command, Vec::new(), argv, None)
                        .await?;
                }
                Directive::Sleep(milliseconds) => {
                    let pause = tokio::time::sleep(Duration::from_millis(milliseconds));
                    self.unless_stopped(pause).await?;
                }
                Directive::Recall => {
                    let first = self.first.lines().next().unwrap_or_default().to_owned();
                    self.say(format!(
                        "turn {} of this session; the first message was: {first}\n",
                        self.prompts
                    ))
                    .await?;
                }
                Directive::Input(question) => {
                    self.rest = script.collect();
                    return Ok(StopReason::InputRequired { question });
                }
                Directive::Fail(reason) => return Err(Cut::Failed(reason)),
                Directive::Hang => self.unless_stopped(std::future::pending()).await?,
            }
        }
        let usage = Usage {
            context_used: Some(text.len() as u64),
            ..Usage::default()
        };
        self.send(DriverEvent::Usage(usage)).await?;
        Ok(StopReason::EndTurn)
    }

    async fn spam(&self, count: u64) -> Result<(), Cut> {
        for number in 1..=count {
            self.say(format!("chunk {number}\n")).await?;
        }
        Ok(())
    }

    async fn tool(
        &mut self,
        name: &str,
        kind: &str,
        title: String,
        locations: Vec<String>,
        argv: Vec<String>,
        input: Option<String>,
    ) -> Result<(), Cut> {
        self.tools += 1;
        let id = format!("tool-{}", self.tools);
        let call = ToolCall {
            name: name.to_owned(),
            title,
            kind: kind.to_owned(),
            input: None,
            locations,
        };
        self.send(DriverEvent::ToolStarted {
            id: id.clone(),
            call,
        })
        .await?;
        let launch = Launch {
            argv,
            ..Launch::default()
        };
        let failed = match self.launcher.start(launch).await {
            Ok(process) => self.follow(&id, process, input).await?,
            Err(error) => {
                self.send(DriverEvent::ToolOutput {
                    id: id.clone(),
                    delta: daemon::cli::chain(&error),
                })
                .await?;
                true
            }
        };
        self.send(DriverEvent::ToolFinished {
            id,
            failed,
            call: ToolCall::default(),
        })
        .await
    }

    /// Streams a command's output; true if it failed.
    async fn follow(
        &self,
        id: &str,
        mut process: Process,
        input: Option<String>,
    ) -> Result<bool, Cut> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stdin = process.take_stdin();
        let write = async {
            if let (Some(stdin), Some(input)) = (&mut stdin, input) {
                // A command that does not read its input is its own affair.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            drop(stdin.take());
        };
        let mut stdout = process.take_stdout();
        let read = async {
            let mut piece = vec![0; OUTPUT_PIECE];
            while let Some(stdout) = &mut stdout {
                match stdout.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        let delta = String::from_utf8_lossy(&piece[..count]).into_owned();
                        self.send(DriverEvent::ToolOutput {
                            id: id.to_owned(),
                            delta,
                        })
                        .await?;
                    }
                }
            }
            Ok(())
        };
        let whole = async {
            let ((), read) = tokio::join!(write, read);
            read?;
            Ok(!process.wait().await)
        };
        let followed = self.unless_stopped(whole).await;
        match followed {
            Ok(Ok(failed)) => Ok(failed),
            Ok(Err(cut)) | Err(cut) => {
                process.into_handle().kill().await;
                Err(cut)
            }
        }
    }

    async fn say(&self, delta: String) -> Result<(), Cut> {
        self.send(DriverEvent::Text {
            message_id: self.message_id(),
            delta,
        })
        .await
    }

    fn message_id(&self) -> String {
        format!("message-{}", self.prompts)
    }

    async fn send(&self, event: DriverEvent) -> Result<(), Cut> {
        if self.turn.is_cancelled() {
            return Err(Cut::Stopped);
        }
        self.events.send(event).await.map_err(|_| Cut::Gone)
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Cut> {
        tokio::select! {
            () = self.turn.cancelled() => Err(Cut::Stopped),
            done = work => Ok(done),
        }
    }
}

/// Waits for a cancel command. Prompts do not come during a turn; a closed channel is handled by the stop token.
async fn cancelled(commands: &mut mpsc::Receiver<Command>) {
    loop {
        match commands.recv().await {
            Some(Command::Cancel) => return,
            Some(Command::Prompt(_)) => {}
            None => std::future::pending().await,
        }
    }
}
