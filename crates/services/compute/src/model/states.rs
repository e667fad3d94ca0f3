//! Nova's three states of a server and the one word made of them.
//!
//! `vm_state` is what it is, `task_state` what is being done to it, `power_state` what the host sees; the
//! API's `status` follows from the first two (nova/api/openstack/common.py, `_STATE_MAP`).

use serde::{Deserialize, Serialize};

/// What a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VmState {
    /// Being made.
    Building,
    /// Made, and meant to run.
    Active,
    /// Its processors are frozen.
    Paused,
    /// Its memory is on disk.
    Suspended,
    /// Off.
    Stopped,
    /// Something went wrong; see the fault.
    Error,
}

/// What is being done to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// A host is being chosen.
    Scheduling,
    /// Its networks are being prepared.
    Networking,
    /// Its disks are being prepared.
    BlockDeviceMapping,
    /// It is being started for the first time.
    Spawning,
    /// It is being switched off.
    #[serde(rename = "powering-off")]
    PoweringOff,
    /// It is being switched on.
    #[serde(rename = "powering-on")]
    PoweringOn,
    /// It is being rebooted by its own power button.
    Rebooting,
    /// It is being rebooted by force.
    RebootingHard,
    /// It is being frozen.
    Pausing,
    /// It is being unfrozen.
    Unpausing,
    /// Its memory is being saved.
    Suspending,
    /// Its memory is being restored.
    Resuming,
    /// It is being made anew.
    Rebuilding,
    /// It is being removed.
    Deleting,
}

/// What the host sees; the API shows the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerState {
    /// Not known.
    NoState = 0,
    /// Running.
    Running = 1,
    /// Frozen.
    Paused = 3,
    /// Off.
    Shutdown = 4,
    /// Ended by itself.
    Crashed = 6,
    /// Memory on disk.
    Suspended = 7,
}

impl From<pileus_host::Power> for PowerState {
    fn from(power: pileus_host::Power) -> Self {
        use pileus_host::Power as P;
        match power {
            P::Absent => PowerState::NoState,
            P::Running => PowerState::Running,
            P::Paused => PowerState::Paused,
            P::Shutdown => PowerState::Shutdown,
            P::Crashed => PowerState::Crashed,
            // Nova's libvirt: a saved guest is a domain that is off.
            P::Suspended => PowerState::Shutdown,
        }
    }
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// Nova's word for it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}
words!(VmState {
    Building = "building",
    Active = "active",
    Paused = "paused",
    Suspended = "suspended",
    Stopped = "stopped",
    Error = "error",
});
words!(TaskState {
    Scheduling = "scheduling",
    Networking = "networking",
    BlockDeviceMapping = "block_device_mapping",
    Spawning = "spawning",
    PoweringOff = "powering-off",
    PoweringOn = "powering-on",
    Rebooting = "rebooting",
    RebootingHard = "rebooting_hard",
    Pausing = "pausing",
    Unpausing = "unpausing",
    Suspending = "suspending",
    Resuming = "resuming",
    Rebuilding = "rebuilding",
    Deleting = "deleting",
});

/// The API's `status`.
pub fn status(vm: VmState, task: Option<TaskState>) -> &'static str {
    match (vm, task) {
        (VmState::Active, Some(TaskState::Rebooting)) => "REBOOT",
        (VmState::Active | VmState::Stopped | VmState::Error, Some(TaskState::RebootingHard)) => {
            "HARD_REBOOT"
        }
        (VmState::Active | VmState::Stopped | VmState::Error, Some(TaskState::Rebuilding)) => "REBUILD",
        (VmState::Building, _) => "BUILD",
        (VmState::Active, _) => "ACTIVE",
        (VmState::Paused, _) => "PAUSED",
        (VmState::Suspended, _) => "SUSPENDED",
        (VmState::Stopped, _) => "SHUTOFF",
        (VmState::Error, _) => "ERROR",
    }
}

/// Every status the API may show, for filters; `None` where the word is none of Nova's.
pub fn is_status(word: &str) -> bool {
    const ALL: [&str; 20] = [
        "ACTIVE",
        "BUILD",
        "DELETED",
        "ERROR",
        "HARD_REBOOT",
        "MIGRATING",
        "PASSWORD",
        "PAUSED",
        "REBOOT",
        "REBUILD",
        "RESCUE",
        "RESIZE",
        "REVERT_RESIZE",
        "SHELVED",
        "SHELVED_OFFLOADED",
        "SHUTOFF",
        "SOFT_DELETED",
        "SUSPENDED",
        "VERIFY_RESIZE",
        "UNKNOWN",
    ];
    ALL.contains(&word)
}

/// The power actions of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerAction {
    /// `os-start`.
    Start,
    /// `os-stop`.
    Stop,
    /// `reboot` SOFT.
    RebootSoft,
    /// `reboot` HARD.
    RebootHard,
    /// `pause`.
    Pause,
    /// `unpause`.
    Unpause,
    /// `suspend`.
    Suspend,
    /// `resume`.
    Resume,
}

impl PowerAction {
    /// The action's name in `os-instance-actions` and in the 409 that refuses it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::RebootSoft | Self::RebootHard => "reboot",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }
    /// The task state while it runs.
    pub fn task(self) -> TaskState {
        match self {
            Self::Start => TaskState::PoweringOn,
            Self::Stop => TaskState::PoweringOff,
            Self::RebootSoft => TaskState::Rebooting,
            Self::RebootHard => TaskState::RebootingHard,
            Self::Pause => TaskState::Pausing,
            Self::Unpause => TaskState::Unpausing,
            Self::Suspend => TaskState::Suspending,
            Self::Resume => TaskState::Resuming,
        }
    }
    /// Whether it is allowed from here (nova/compute/api.py, `check_instance_state`).
    pub fn allowed(self, vm: VmState, task: Option<TaskState>) -> bool {
        use VmState as V;
        let state = match self {
            Self::Start => vm == V::Stopped,
            Self::Stop => matches!(vm, V::Active | V::Error),
            Self::RebootSoft => vm == V::Active,
            Self::RebootHard => matches!(vm, V::Active | V::Stopped | V::Paused | V::Suspended | V::Error),
            Self::Pause => vm == V::Active,
            Self::Unpause => vm == V::Paused,
            Self::Suspend => vm == V::Active,
            Self::Resume => vm == V::Suspended,
        };
        let task = match (self, task) {
            (_, None) => true,
            (Self::RebootHard, Some(t)) => {
                matches!(
                    t,
                    TaskState::Rebooting
                        | TaskState::RebootingHard
                        | TaskState::Resuming
                        | TaskState::Pausing
                        | TaskState::Suspending
                )
            }
            _ => false,
        };
        state && task
    }
    /// What the server is afterwards.
    pub fn after(self) -> (VmState, PowerState) {
        match self {
            Self::Start | Self::RebootSoft | Self::RebootHard | Self::Unpause | Self::Resume => {
                (VmState::Active, PowerState::Running)
            }
            Self::Stop => (VmState::Stopped, PowerState::Shutdown),
            Self::Pause => (VmState::Paused, PowerState::Paused),
            Self::Suspend => (VmState::Suspended, PowerState::Shutdown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_serde_agree() {
        for t in [TaskState::PoweringOff, TaskState::RebootingHard, TaskState::BlockDeviceMapping] {
            assert_eq!(serde_json::to_value(t).unwrap(), t.word());
        }
        assert_eq!(serde_json::to_value(VmState::Building).unwrap(), VmState::Building.word());
    }

    #[test]
    fn an_action_is_refused_while_another_runs() {
        use PowerAction as A;
        assert!(A::Stop.allowed(VmState::Active, None));
        assert!(!A::Stop.allowed(VmState::Active, Some(TaskState::PoweringOff)));
        assert!(!A::Start.allowed(VmState::Active, None));
        assert!(A::RebootHard.allowed(VmState::Active, Some(TaskState::Rebooting)));
        assert!(!A::RebootSoft.allowed(VmState::Active, Some(TaskState::Rebooting)));
        assert_eq!(status(VmState::Active, Some(TaskState::Rebooting)), "REBOOT");
    }
}
