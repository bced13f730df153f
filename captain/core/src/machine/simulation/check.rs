//! What must hold in the simulated world after every step, and what must hold at its end.

use std::collections::BTreeMap;

use super::world::World;
use crate::event::JobEvent;
use crate::ids::Attempt;
use crate::job::{Job, JobState, SubtaskState};
use crate::schedule;

/// After every step. What goes over the whole log is looked at now and then: what is wrong in it stays wrong.
pub(super) fn holds(world: &World, step: usize) {
    let job = world.job();
    assert!(
        schedule::active(job) <= job.max_parallel(),
        "more at work than allowed"
    );
    one_owner(world);
    if step.is_multiple_of(16) {
        once_and_in_order(world);
    }
    owed_is_known(world);
    terminal_is_final(world);
    goes_on(world);
}

/// Of one subtask at most one worker could deliver anything, and only the attempt under way is listened to.
fn one_owner(world: &World) {
    let mut owners = BTreeMap::new();
    for worker in world.workers().filter(|worker| worker.could_deliver()) {
        let earlier = owners.insert(worker.subtask.clone(), worker.attempt);
        assert_eq!(earlier, None, "two live workers of {}", worker.subtask);
    }
}

/// Nothing of a worker is recorded twice, out of its order, or after a gap.
fn once_and_in_order(world: &World) {
    let stopped =
        |(_, event, _): &(_, JobEvent, _)| matches!(event, JobEvent::JobCancelRequested { .. });
    let stopped = world.log().iter().any(stopped);
    let mut last = BTreeMap::<_, u64>::new();
    for (_, event, cursor) in world.log() {
        let (Some((subtask, attempt)), Some(cursor)) = (event.attempt(), *cursor) else {
            continue;
        };
        let worker = world
            .worker(subtask, attempt)
            .expect("only workers number events");
        let said = &worker.log[usize::try_from(cursor).unwrap() - 1];
        assert_eq!(said, event, "recorded under another number");
        let before = last.insert((subtask.clone(), attempt), cursor).unwrap_or(0);
        assert!(
            cursor > before,
            "{event:?} was recorded twice or late: {cursor} after {before}"
        );
        // What the core refuses while a job is being stopped leaves a gap, and nothing else does.
        let gap = cursor > before + 1;
        assert!(
            !gap || stopped,
            "{event:?} was recorded after a gap: {cursor} after {before}"
        );
    }
}

/// A captain that was killed now would owe nothing after its restart that this one does not owe.
fn owed_is_known(world: &World) {
    for effect in world.job().pending_effects() {
        assert!(
            world.owes(&effect),
            "a restart would owe {effect:?}, which nobody owes now"
        );
    }
}

fn terminal_is_final(world: &World) {
    let job = world.job();
    if !job.state().is_terminal() {
        return;
    }
    assert!(
        job.subtasks().all(|(_, _, one)| one.state.is_terminal()),
        "ended with work left"
    );
    let ends = world
        .log()
        .iter()
        .filter(|(_, event, _)| event.is_terminal());
    assert_eq!(ends.count(), 1);
    assert!(
        world
            .log()
            .last()
            .is_some_and(|(_, event, _)| event.is_terminal())
    );
}

/// Whatever the state, something will happen by itself.
fn goes_on(world: &World) {
    let job = world.job();
    let waits_for_room = world.slots() == 0 && *job.state() == JobState::Running;
    let will = job.state().is_terminal()
        || !job.pending_effects().is_empty()
        || job.wakeup(world.now()).is_some()
        || job.decide(world.now(), world.outside(0)).is_some();
    assert!(will || waits_for_room, "stuck in {:?}", job.state());
}

/// Once everything is over.
pub(super) fn at_the_end(world: &World) {
    once_and_in_order(world);
    let events = world.log().iter().map(|(at, event, _)| (*at, event));
    assert_eq!(
        &Job::replay(world.job().id().clone(), events).unwrap(),
        world.job()
    );
    assert_eq!(
        world.workers().filter(|worker| worker.alive).count(),
        0,
        "workers are left"
    );
    for (id, _, one) in world.job().subtasks() {
        if matches!(one.state, SubtaskState::Done { .. }) {
            everything_was_heard(world, id, one.current().unwrap().attempt);
        }
    }
}

/// All that the worker of a finished subtask said is in the log.
fn everything_was_heard(world: &World, id: &crate::SubtaskId, attempt: Attempt) {
    let worker = world.worker(id, attempt).unwrap();
    let heard = world
        .log()
        .iter()
        .filter(|(_, event, cursor)| cursor.is_some() && event.attempt() == Some((id, attempt)));
    let heard: Vec<&JobEvent> = heard.map(|(_, event, _)| event).collect();
    assert_eq!(
        heard,
        worker.log.iter().collect::<Vec<_>>(),
        "words of {id} are lost"
    );
}
