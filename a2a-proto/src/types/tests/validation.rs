//! What a shape-correct object can still lack: all of it is reported at once.

use pretty_assertions::assert_eq;

use crate::types::*;

fn violations(object: &impl Validate) -> Vec<String> {
    object
        .violations()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn every_missing_field_is_reported() {
    assert_eq!(
        violations(&SendMessageRequest::default()),
        ["message: is required"]
    );
    let request = SendMessageRequest {
        message: Message {
            context_id: "c".into(),
            ..Message::default()
        },
        configuration: Some(SendMessageConfiguration {
            history_length: Some(-1),
            task_push_notification_config: Some(TaskPushNotificationConfig {
                authentication: Some(AuthenticationInfo::default()),
                ..TaskPushNotificationConfig::default()
            }),
            ..SendMessageConfiguration::default()
        }),
        ..SendMessageRequest::default()
    };
    assert_eq!(
        violations(&request),
        [
            "message.messageId: is required",
            "message.role: is required",
            "message.parts: is required",
            "configuration.taskPushNotificationConfig.url: is required",
            "configuration.taskPushNotificationConfig.authentication.scheme: is required",
            "configuration.historyLength: must not be negative",
        ]
    );
    let error = request.validate().unwrap_err();
    assert_eq!(error.code(), -32602);
    assert!(
        error
            .to_string()
            .starts_with("invalid parameters: message.messageId: is required; message.role")
    );
}

#[test]
fn a_list_element_is_named_by_its_index() {
    let task = Task {
        id: "t".into(),
        status: TaskStatus {
            state: TaskState::Working,
            ..TaskStatus::default()
        },
        history: vec![
            Message::user("m", vec![Part::text("a")]),
            Message::user("", vec![Part::url("")]),
        ],
        ..Task::default()
    };
    assert_eq!(
        violations(&task),
        [
            "history[1].messageId: is required",
            "history[1].parts[0].url: must not be empty"
        ]
    );
}

#[test]
fn a_user_may_speak_in_either_role() {
    for message in [
        Message::user("m", vec![Part::text("a")]),
        Message::agent("m", vec![Part::text("a")]),
    ] {
        assert_eq!(
            violations(&SendMessageRequest {
                message,
                ..Default::default()
            }),
            [""; 0]
        );
    }
}

#[test]
fn pages_have_1_to_100_tasks() {
    for (size, good) in [
        (None, true),
        (Some(1), true),
        (Some(100), true),
        (Some(0), false),
        (Some(101), false),
        (Some(-1), false),
    ] {
        let request = ListTasksRequest {
            page_size: size,
            ..ListTasksRequest::default()
        };
        assert_eq!(request.validate().is_ok(), good, "{size:?}");
    }
    let request = ListTasksRequest {
        page_size: Some(0),
        history_length: Some(-2),
        ..ListTasksRequest::default()
    };
    assert_eq!(
        violations(&request),
        [
            "pageSize: must be 1 to 100",
            "historyLength: must not be negative"
        ]
    );
}

#[test]
fn a_card_needs_a_name_a_version_and_an_interface() {
    assert_eq!(
        violations(&AgentCard::default()),
        [
            "name: is required",
            "supportedInterfaces: is required",
            "version: is required"
        ]
    );
    let mut card = AgentCard {
        name: "n".into(),
        version: "1".into(),
        ..AgentCard::default()
    };
    card.supported_interfaces.push(AgentInterface::default());
    card.security_schemes
        .insert("k".into(), APIKeySecurityScheme::default().into());
    assert_eq!(
        violations(&card),
        [
            "supportedInterfaces[0].url: is required",
            "supportedInterfaces[0].protocolBinding: is required",
            "supportedInterfaces[0].protocolVersion: is required",
            "securitySchemes.k.apiKeySecurityScheme.location: is required",
            "securitySchemes.k.apiKeySecurityScheme.name: is required",
        ]
    );
}
