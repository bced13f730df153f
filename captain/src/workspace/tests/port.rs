//! The whole life of a job's workspaces through the engine's port.

use captain_core::JobId;
use jiff::Timestamp;
use pretty_assertions::assert_eq;

use super::*;
use crate::engine::ports::{
    FinishRequest, ImportRequest, Labels, PrepareRequest, Workspace, WorkspaceError,
};

fn job() -> JobId {
    JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap()
}

fn request(name: &str, from: Vec<(SubtaskId, CommitId)>) -> PrepareRequest {
    PrepareRequest {
        labels: Labels {
            job: job(),
            subtask: id(name),
            attempt: Attempt(1),
        },
        repo: None,
        base: None,
        submitted: Timestamp::UNIX_EPOCH,
        from,
    }
}

#[tokio::test]
async fn a_job_goes_from_nothing_to_its_result() {
    let dir = TempDir::new().unwrap();
    let git_program = Git::new(std::env::var_os("PATH").unwrap());
    let spaces = Workspaces::new(
        git_program,
        dir.path().to_owned(),
        ImportLimits::default(),
        false,
    );

    let first = request("first", Vec::new());
    let prepared = spaces.prepare(&first).await.unwrap();
    write(&prepared.workspace, "a/b.txt", "1");
    commit_all(&prepared.workspace, "work");
    git(&prepared.workspace, &["update-ref", BUNDLE_REF, "HEAD"]);
    let bundle = dir.path().join("result.bundle");
    git(
        &prepared.workspace,
        &[
            "bundle",
            "create",
            "-q",
            bundle.to_str().unwrap(),
            BUNDLE_REF,
            &format!("^{}", prepared.base),
        ],
    );
    let import = ImportRequest {
        labels: first.labels.clone(),
        bundle: Some(bundle),
    };
    let imported = spaces.import(&import).await.unwrap();
    assert_eq!(imported.files, ["a/b.txt"]);
    assert_eq!(spaces.import(&import).await.unwrap(), imported);
    spaces.discard(&first.labels).await.unwrap();
    assert!(!prepared.workspace.exists());

    let second = request("second", vec![(id("first"), imported.commit.clone())]);
    spaces.prepare(&second).await.unwrap();
    let idle = spaces
        .import(&ImportRequest {
            labels: second.labels.clone(),
            bundle: None,
        })
        .await
        .unwrap();
    assert_eq!(
        (idle.commit.clone(), idle.files),
        (imported.commit, Vec::new())
    );

    let finish = FinishRequest {
        job: job(),
        leaves: vec![(id("second"), idle.commit)],
    };
    let result = spaces.finish(&finish).await.unwrap();
    assert_eq!(result.files, ["a/b.txt"]);
    assert_eq!(result.branch, "result");
    assert_eq!(spaces.finish(&finish).await.unwrap(), result);
}

#[tokio::test]
async fn what_cannot_be_used_is_told_in_words() {
    let dir = TempDir::new().unwrap();
    let git_program = Git::new(std::env::var_os("PATH").unwrap());
    let spaces = Workspaces::new(
        git_program,
        dir.path().to_owned(),
        ImportLimits::default(),
        false,
    );
    let bad = PrepareRequest {
        repo: Some("/nonexistent".to_owned()),
        ..request("a", Vec::new())
    };
    let WorkspaceError::Failed { message, .. } = spaces.prepare(&bad).await.unwrap_err() else {
        panic!("a conflict")
    };
    assert_eq!(
        message,
        "cannot take the repository /nonexistent: there is no such folder"
    );

    let good = request("a", Vec::new());
    spaces.prepare(&good).await.unwrap();
    write(dir.path(), "noise", "noise");
    let import = ImportRequest {
        labels: good.labels,
        bundle: Some(dir.path().join("noise")),
    };
    let WorkspaceError::Failed { message, .. } = spaces.import(&import).await.unwrap_err() else {
        panic!("a conflict")
    };
    assert!(
        message.starts_with("the result was refused: the bundle is not valid: "),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subtasks_of_one_job_do_not_disturb_each_other() {
    const SUBTASKS: usize = 8;
    let dir = TempDir::new().unwrap();
    let git_program = Git::new(std::env::var_os("PATH").unwrap());
    let spaces = Workspaces::new(
        git_program,
        dir.path().to_owned(),
        ImportLimits::default(),
        false,
    );
    let names: Vec<String> = (0..SUBTASKS).map(|i| format!("s{i}")).collect();
    let one = |name: String, from: Vec<(SubtaskId, CommitId)>| {
        let (spaces, dir) = (&spaces, dir.path());
        async move {
            let request = request(&name, from);
            let prepared = spaces.prepare(&request).await.unwrap();
            write(&prepared.workspace, &name, &name);
            commit_all(&prepared.workspace, &name);
            git(&prepared.workspace, &["update-ref", BUNDLE_REF, "HEAD"]);
            let bundle = dir.join(format!("{name}.bundle"));
            let since = format!("^{}", prepared.base);
            let args = [
                "bundle",
                "create",
                "-q",
                bundle.to_str().unwrap(),
                BUNDLE_REF,
                &since,
            ];
            git(&prepared.workspace, &args);
            let labels = request.labels.clone();
            let import = ImportRequest {
                labels,
                bundle: Some(bundle),
            };
            let imported = spaces.import(&import).await.unwrap();
            spaces.discard(&request.labels).await.unwrap();
            (id(&name), imported.commit)
        }
    };
    // All at once from nothing, then all at once from the merge of all.
    let first =
        futures_util::future::join_all(names.iter().map(|name| one(name.clone(), Vec::new())))
            .await;
    let again = names
        .iter()
        .map(|name| one(format!("{name}-again"), first.clone()));
    let second = futures_util::future::join_all(again).await;
    let finish = FinishRequest {
        job: job(),
        leaves: second,
    };
    let result = spaces.finish(&finish).await.unwrap();
    assert_eq!(result.files.len(), 2 * SUBTASKS);
}
