//! The operations on push configurations (A2A §3.1.7 to §3.1.10), and the configuration that comes with a message. What
//! may be registered and how it is delivered is decided in [`crate::push`]; here is who may ask, and what is answered.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{chain, log_error};
use crate::error::A2aError;
use crate::log::{LogTask, PushRow, TaskLog};
use crate::push::{Couriers, PushError, Registration, shown};
use crate::server::{Agent, Caller, Inner};
use crate::types::{
    DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest, ListTaskPushNotificationConfigsResponse,
    SendMessageConfiguration, TaskPushNotificationConfig, Validate as _,
};
use crate::version::ProtocolVersion;

/// The page size of a request that names none, and the largest one.
const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 100;

/// A configuration that came with a message, checked.
pub(super) struct Inline {
    couriers: Arc<Couriers>,
    registration: Registration,
    protocol: ProtocolVersion,
}

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// What delivers, if this server does and its card says so.
    fn couriers(&self) -> Result<&Arc<Couriers>, A2aError> {
        let declared = self.card().capabilities.push_notifications == Some(true);
        self.couriers
            .as_ref()
            .filter(|_| declared)
            .ok_or(A2aError::PushNotificationNotSupported)
    }

    /// Stores a configuration. It goes to its end even when the caller goes away: a courier that was stopped for it must
    /// not stay stopped.
    pub(in crate::server) async fn create_push_config(
        self: &Arc<Self>,
        caller: &Caller,
        request: TaskPushNotificationConfig,
        protocol: ProtocolVersion,
    ) -> Result<TaskPushNotificationConfig, A2aError> {
        let couriers = Arc::clone(self.couriers()?);
        if request.task_id.is_empty() {
            return Err(A2aError::invalid_param("taskId", "is required"));
        }
        let caller = caller.within(&request.tenant)?;
        let task = self.open(&caller, &request.task_id).await?;
        let mut registration = couriers.check(request, "")?;
        registration.id_or(|| self.options.ids.next());
        self.detached(async move {
            let config = registration.of_task(task.id());
            let row = couriers.seal(&config, protocol).await?;
            let id = Arc::clone(&row.id);
            let store = async { task.put_push(row).await.map_err(PushError::from) };
            let stored = couriers.change(&task, &id, true, store).await;
            stored?;
            Ok(shown(config))
        })
        .await
    }

    /// Answers one configuration.
    pub(in crate::server) async fn get_push_config(
        &self,
        caller: &Caller,
        request: GetTaskPushNotificationConfigRequest,
    ) -> Result<TaskPushNotificationConfig, A2aError> {
        let couriers = self.couriers()?;
        request.validate()?;
        let caller = caller.within(&request.tenant)?;
        let task = self.open(&caller, &request.task_id).await?;
        let stored = task.push_config(&request.id).await.map_err(log_error)?;
        let stored = stored.ok_or(A2aError::TaskNotFound {
            task_id: format!("{} with push configuration {}", request.task_id, request.id),
        })?;
        let config = couriers.open(task.id(), &stored.row).await;
        config.map(shown).map_err(push_error)
    }

    /// Answers a page of the task's configurations, by id.
    pub(in crate::server) async fn list_push_configs(
        &self,
        caller: &Caller,
        request: ListTaskPushNotificationConfigsRequest,
    ) -> Result<ListTaskPushNotificationConfigsResponse, A2aError> {
        let couriers = self.couriers()?;
        request.validate()?;
        let size = match usize::try_from(request.page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) if size <= MAX_PAGE => size,
            _ => {
                let range = format!("must be from 1 to {MAX_PAGE}");
                return Err(A2aError::invalid_param("pageSize", range));
            }
        };
        let after = after(&request.page_token)?;
        let caller = caller.within(&request.tenant)?;
        let task = self.open(&caller, &request.task_id).await?;
        // One more than asked for tells whether there is another page.
        let page = task.push_configs(&after, size + 1).await;
        let mut page = page.map_err(log_error)?;
        let more = page.len() > size;
        page.truncate(size);
        let next_page_token = match page.last().filter(|_| more) {
            Some(last) => URL_SAFE_NO_PAD.encode(last.row.id.as_bytes()),
            None => String::new(),
        };
        let mut configs = Vec::with_capacity(page.len());
        for stored in page {
            match couriers.open(task.id(), &stored.row).await {
                Ok(config) => configs.push(shown(config)),
                // One that nobody can read any more does not hide the others.
                Err(error) => tracing::warn!(
                    task = task.id(),
                    config = stored.row.id.as_ref(),
                    error = &error as &dyn std::error::Error,
                    "a push configuration is left out of a list"
                ),
            }
        }
        Ok(ListTaskPushNotificationConfigsResponse {
            configs,
            next_page_token,
        })
    }

    /// Deletes a configuration; one that is not there is deleted already.
    pub(in crate::server) async fn delete_push_config(
        self: &Arc<Self>,
        caller: &Caller,
        request: DeleteTaskPushNotificationConfigRequest,
    ) -> Result<(), A2aError> {
        let couriers = Arc::clone(self.couriers()?);
        request.validate()?;
        let caller = caller.within(&request.tenant)?;
        let task = self.open(&caller, &request.task_id).await?;
        let id: Arc<str> = request.id.into();
        self.detached(async move {
            let delete = async { task.delete_push(&id).await.map_err(PushError::from) };
            let deleted = couriers.change(&task, &id, false, delete).await;
            deleted.map_err(push_error)
        })
        .await
    }

    /// Takes the configuration out of a message's, so that the agent never sees its credentials.
    pub(super) fn take_inline_push(
        &self,
        configuration: Option<&mut SendMessageConfiguration>,
        protocol: ProtocolVersion,
    ) -> Result<Option<Inline>, A2aError> {
        let Some(config) = configuration.and_then(|it| it.task_push_notification_config.take())
        else {
            return Ok(None);
        };
        let couriers = Arc::clone(self.couriers()?);
        let mut registration =
            couriers.check(config, "configuration.taskPushNotificationConfig.")?;
        couriers.check_room()?;
        registration.id_or(|| self.options.ids.next());
        Ok(Some(Inline {
            couriers,
            registration,
            protocol,
        }))
    }
}

impl Inline {
    /// The configuration as it is stored with the task.
    pub(super) async fn row(&self, task_id: &str) -> Result<PushRow, A2aError> {
        let config = self.registration.clone().of_task(task_id);
        let sealed = self.couriers.seal(&config, self.protocol).await;
        sealed.map_err(push_error)
    }

    /// Stores it for a task that is there already, by `store`, and starts its delivery.
    pub(super) async fn store_with<T, F: Future<Output = Result<T, A2aError>>>(
        &self,
        task: &LogTask,
        store: impl FnOnce(PushRow) -> F,
    ) -> Result<T, A2aError> {
        let row = self.row(task.id()).await?;
        let id = Arc::clone(&row.id);
        self.couriers.change(task, &id, true, store(row)).await
    }

    /// Starts its delivery, now that the task with it is stored.
    pub(super) async fn start(&self, task: &LogTask, id: &Arc<str>) {
        if let Err(error) = self.couriers.start(task, id).await {
            // It is stored as open, so the next server starts it.
            tracing::error!(
                task = task.id(),
                error = &error as &dyn std::error::Error,
                "the push notifications of a task wait for a restart"
            );
        }
    }
}

impl From<PushError> for A2aError {
    fn from(error: PushError) -> Self {
        push_error(error)
    }
}

/// The id after which a page begins.
fn after(token: &str) -> Result<String, A2aError> {
    let id = URL_SAFE_NO_PAD.decode(token).ok();
    id.and_then(|id| String::from_utf8(id).ok()).ok_or_else(|| {
        A2aError::invalid_param(
            "pageToken",
            "not a page token of this server: begin without one",
        )
    })
}

fn push_error(error: PushError) -> A2aError {
    match error {
        PushError::Log(error) => log_error(error),
        PushError::Busy { .. } => super::overloaded(),
        PushError::TooMany { .. } => A2aError::invalid_param("taskId", error.to_string()),
        PushError::Key(_) => A2aError::Internal {
            external: "the server cannot open its stored push configurations: delete this one and create it again"
                .to_owned(),
            internal: chain(&error),
        },
        PushError::Write(_) | PushError::Read(_) | PushError::Panicked => {
            A2aError::internal(chain(&error))
        }
    }
}
