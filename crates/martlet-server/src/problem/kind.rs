//! The kinds of problem.

use http::StatusCode;

use super::STORAGE_RETRY_S;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $status:ident, $title:literal;)*) => {
        /// The kinds of [`Problem`](super::Problem). Their codes stay the same in all versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $($(#[$doc])* $name,)*
        }

        impl ProblemKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word by which programs know it.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }

            /// The same for people, in a few words.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

kinds! {
    /// Something in the request is wrong: a type, a missing field, a parameter.
    BadRequest, "bad_request", BAD_REQUEST, "Bad request";
    /// The body is no JSON, or JSON that different readers understand differently.
    InvalidJson, "invalid_json", BAD_REQUEST, "Invalid JSON";
    /// Who asks is not known.
    Unauthorized, "unauthorized", UNAUTHORIZED, "Unauthorized";
    /// Who asks may not do this.
    Forbidden, "forbidden", FORBIDDEN, "Forbidden";
    /// There is no such thing, or it is somebody else's.
    NotFound, "not_found", NOT_FOUND, "Not found";
    /// The thing is there, but knows no such method.
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// The body did not come in time.
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "Request timeout";
    /// It cannot be done as things stand.
    Conflict, "conflict", CONFLICT, "Conflict";
    /// The approval was decided before.
    AlreadyDecided, "already_decided", CONFLICT, "Already decided";
    /// The body is too large.
    PayloadTooLarge, "payload_too_large", PAYLOAD_TOO_LARGE, "Payload too large";
    /// The body is of a type that is not read here.
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type";
    /// The `Idempotency-Key` was used for another request.
    IdempotencyKeyReused, "idempotency_key_reused", UNPROCESSABLE_ENTITY, "Idempotency key reused";
    /// As many runs wait as may wait at once.
    QueueFull, "queue_full", TOO_MANY_REQUESTS, "Queue full";
    /// As many runs of the user wait as may wait at once.
    UserLimit, "user_limit", TOO_MANY_REQUESTS, "User limit reached";
    /// The run that was waited for gave no answer.
    RunFailed, "run_failed", BAD_GATEWAY, "Run failed";
    /// The server is shutting down.
    Draining, "draining", SERVICE_UNAVAILABLE, "Shutting down";
    /// The server has no space left. Nothing was kept of the request.
    StorageFull, "storage_full", SERVICE_UNAVAILABLE, "Storage full";
    /// The server's storage failed. The request may have been done.
    StorageUnavailable, "storage_unavailable", SERVICE_UNAVAILABLE, "Storage unavailable";
    /// A fault of the server.
    Internal, "internal", INTERNAL_SERVER_ERROR, "Internal error";
}

impl ProblemKind {
    /// When to try again, in seconds, if nothing better is known. The kinds that time does not mend have none.
    pub(super) fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::StorageFull | Self::StorageUnavailable => Some(STORAGE_RETRY_S),
            Self::QueueFull | Self::UserLimit | Self::Draining => Some(10),
            _ => None,
        }
    }
}
