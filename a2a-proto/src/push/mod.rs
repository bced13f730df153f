//! Push notifications (A2A §3.1.7 to §3.1.10, §4.3): the events of a task, posted to where its owner wants them.
//!
//! A configuration is checked by `config` and `target`, sealed by `keys` and stored by the log beside its task. For
//! each one with something left to deliver runs a courier, which reads the task's events from the log and posts them in
//! order, each until it has arrived: at least once, over restarts too. `resolve` is the only way to an address.
//!
//! A receiver is chosen by a stranger, so the rule is: https to addresses of the public internet and nothing else, except
//! what the operator has listed ([`AllowList`]). The operations themselves are in `server`.

mod address;
mod allow;
mod config;
mod courier;
mod couriers;
mod keys;
mod post;
mod resolve;
mod target;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::client::{ClientError, HttpOptions, http_client_resolving};

pub use self::address::{is_link_local, is_public};
pub use self::allow::{AllowList, Allowed, NotAllowed};
pub use self::keys::{KeyError, Keyring};
pub use self::resolve::{Resolver, SystemResolver};

pub(crate) use self::config::{Registration, shown};
pub(crate) use self::couriers::{Couriers, PushError};

use self::resolve::{Pinned, Resolves};

/// Posts under way at once to receivers that answered last time. Each holds one event.
const QUICK_POSTS: usize = 128;

/// Posts under way at once to receivers that did not: however many they are, the others do not wait for them.
const SLOW_POSTS: usize = 32;

/// The address of a webhook, if a client may register it; for `fuzzing`.
#[cfg(feature = "fuzzing")]
pub(crate) fn webhook(text: &str, allow: &AllowList) -> Option<url::Url> {
    target::check(text, allow).ok()
}

/// How a server pushes.
#[derive(Clone)]
pub struct PushOptions {
    /// Receivers that are allowed though they are not public, or speak plain http.
    pub allow: AllowList,
    /// What configurations are sealed with at rest.
    pub keys: Keyring,
    /// Where names lead.
    pub resolver: Arc<dyn Resolver>,
    /// How long a receiver may take to answer.
    pub timeout: Duration,
    /// How often an event is tried before its configuration is suspended.
    pub tries: NonZeroU32,
    /// The wait after the first failure; each further one doubles it, up to the longest.
    pub first_wait: Duration,
    /// The longest wait between two tries, also where the receiver asks for more.
    pub longest_wait: Duration,
    /// Configurations of one task.
    pub configs_per_task: usize,
    /// Configurations of all tasks with something left to deliver.
    pub open_configs: usize,
}

impl PushOptions {
    /// Defaults, with the one choice that has none: where the keys are.
    pub fn new(keys: Keyring) -> Self {
        Self {
            allow: AllowList::default(),
            keys,
            resolver: Arc::new(SystemResolver),
            timeout: Duration::from_secs(15),
            // With the waits below, a receiver may be away for about four minutes.
            tries: const { NonZeroU32::new(10).unwrap() },
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            // A person's tools and a monitor; every one is a copy of the whole stream.
            configs_per_task: 16,
            // Each waits as a small task in memory.
            open_configs: 4096,
        }
    }
}

impl fmt::Debug for PushOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushOptions")
            .field("allow", &self.allow)
            .field("keys", &self.keys)
            .field("timeout", &self.timeout)
            .field("tries", &self.tries)
            .field("first_wait", &self.first_wait)
            .field("longest_wait", &self.longest_wait)
            .field("configs_per_task", &self.configs_per_task)
            .field("open_configs", &self.open_configs)
            .finish_non_exhaustive()
    }
}

/// Everything that pushing needs, ready for a server.
#[derive(Debug, Clone)]
pub struct Pusher(Arc<Shared>);

/// What all couriers share.
struct Shared {
    options: PushOptions,
    /// Made for the first post: it reads the machine's CA certificates, which most servers never need.
    client: OnceLock<reqwest::Client>,
    quick: Semaphore,
    slow: Semaphore,
}

impl Pusher {
    /// Everything with these options. Nothing is sent, and the key file is not touched yet.
    pub fn new(options: PushOptions) -> Self {
        Self(Arc::new(Shared {
            options,
            client: OnceLock::new(),
            quick: Semaphore::new(QUICK_POSTS),
            slow: Semaphore::new(SLOW_POSTS),
        }))
    }
}

impl Shared {
    /// The client that posts, which connects to nothing but what `resolve` allows.
    fn client(&self) -> Result<&reqwest::Client, ClientError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let pinned = Arc::new(Pinned {
            resolver: Arc::clone(&self.options.resolver),
            allow: self.options.allow.clone(),
        });
        let resolver: Arc<dyn reqwest::dns::Resolve> = Arc::new(Resolves(pinned));
        let client = http_client_resolving(&HttpOptions::default(), &resolver)?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
