//! Where an account stands, in one plain line and one sentence: decided here, drawn in the popup.

use keystead_core::status::{DeploymentView, Progress, Question, State, StepName};

use crate::text::Msg;

/// How a state is to be taken; shown by sign and colour, and always said in words too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// Something is under way; nothing to do.
    Busy,
    /// Nothing to do, and nothing under way.
    Calm,
    /// A person is asked for.
    Asks,
    /// Something went wrong.
    Bad,
}

impl Tone {
    /// Its name in the style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Calm => "calm",
            Self::Asks => "asks",
            Self::Bad => "bad",
        }
    }
}

/// The line and the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headline {
    /// How it is to be taken.
    pub(crate) tone: Tone,
    /// The line.
    pub(crate) title: Msg,
    /// The sentence.
    pub(crate) detail: Msg,
}

/// What to say of a deployment.
pub(crate) fn headline(deployment: &DeploymentView) -> Headline {
    let say = |tone, title, detail| Headline { tone, title, detail };
    if !deployment.permitted {
        return say(Tone::Asks, Msg("state_access"), Msg("state_access_detail"));
    }
    match deployment.progress.state {
        State::NoPolicy => say(Tone::Calm, Msg("state_no_policy"), Msg("state_no_policy_detail")),
        State::SignedOut => say(Tone::Calm, Msg("state_signed_out"), Msg("state_signed_out_detail")),
        State::Working => say(Tone::Busy, Msg("state_working"), Msg("state_working_detail")),
        // Without a recipient the recovery is the person's own sheet of paper: say who can open it, and who cannot.
        State::Complete if deployment.progress.recipients.is_empty() => {
            say(Tone::Good, Msg("state_complete"), Msg("state_complete_kept_detail"))
        }
        State::Complete => say(Tone::Good, Msg("state_complete"), Msg("state_complete_detail")),
        State::Waiting => say(Tone::Busy, Msg("state_waiting"), Msg("state_waiting_detail")),
        State::Foreign => say(Tone::Calm, Msg("state_foreign"), Msg("state_foreign_detail")),
        State::Declined => say(Tone::Calm, Msg("state_declined"), Msg("state_declined_detail")),
        State::Confirm => say(Tone::Asks, Msg("state_confirm"), Msg("state_confirm_detail")),
        State::Keep => say(Tone::Asks, Msg("state_keep"), Msg("state_keep_detail")),
        State::Recover => say(Tone::Asks, Msg("state_recover"), Msg("state_recover_detail")),
        State::Believe if matches!(deployment.progress.question, Some(Question::Reset { .. })) => {
            say(Tone::Asks, Msg("reset_title"), Msg("state_reset_detail"))
        }
        State::Believe => say(Tone::Asks, Msg("state_believe"), Msg("state_believe_detail")),
        State::Adopt => say(Tone::Asks, Msg("state_foreign"), Msg("state_adopt_detail")),
        State::Failed => say(Tone::Bad, Msg("state_failed"), Msg("state_failed_detail")),
    }
}

/// How far one step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepState {
    /// It is done.
    Done,
    /// It is under way.
    Doing,
    /// It waits: for a certificate, or for the person.
    Waiting,
    /// It failed and will be tried again.
    Failed,
    /// It ended the run: there is nothing more to do, or nothing more may be done.
    Stopped,
    /// It is still to do.
    ToDo,
}

impl StepState {
    /// What it is called.
    pub(crate) const fn label(self) -> Msg {
        match self {
            Self::Done => Msg("step_done"),
            Self::Doing => Msg("step_doing"),
            Self::Waiting => Msg("step_waiting"),
            Self::Failed => Msg("step_failed"),
            Self::Stopped => Msg("step_stopped"),
            Self::ToDo => Msg("step_to_do"),
        }
    }

    /// Its name in the style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Doing => "doing",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::ToDo => "to-do",
        }
    }
}

/// The seven steps and how far each is.
pub(crate) fn steps(progress: &Progress) -> [(StepName, StepState); 7] {
    let at = progress.step.and_then(|step| StepName::ALL.iter().position(|name| *name == step));
    let here = match progress.state {
        State::Complete => StepState::Done,
        State::Working => StepState::Doing,
        State::Waiting | State::Confirm | State::Keep | State::Recover | State::Believe | State::Adopt => {
            StepState::Waiting
        }
        State::Failed => StepState::Failed,
        State::Foreign | State::Declined => StepState::Stopped,
        State::NoPolicy | State::SignedOut => StepState::ToDo,
    };
    let mut position = 0;
    StepName::ALL.map(|name| {
        let index = position;
        position += 1;
        let state = match at {
            None if progress.state == State::Complete => StepState::Done,
            None => StepState::ToDo,
            Some(at) if index < at => StepState::Done,
            Some(at) if index == at => here,
            Some(_) => StepState::ToDo,
        };
        (name, state)
    })
}

/// What a step is called.
pub(crate) const fn step_label(step: StepName) -> Msg {
    match step {
        StepName::Look => Msg("step_look"),
        StepName::Recipients => Msg("step_recipients"),
        StepName::Make => Msg("step_make"),
        StepName::Seal => Msg("step_seal"),
        StepName::Switch => Msg("step_switch"),
        StepName::Store => Msg("step_store"),
        StepName::Prove => Msg("step_prove"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(state: State, step: Option<StepName>) -> Vec<StepState> {
        steps(&Progress { state, step, ..Progress::default() }).into_iter().map(|(_, state)| state).collect()
    }

    #[test]
    fn what_stands_before_the_step_is_done_and_what_stands_after_is_not() {
        use StepState::{Done, Failed, ToDo, Waiting};
        assert_eq!(at(State::Failed, Some(StepName::Make)), [Done, Done, Failed, ToDo, ToDo, ToDo, ToDo]);
        assert_eq!(at(State::Waiting, Some(StepName::Recipients)), [Done, Waiting, ToDo, ToDo, ToDo, ToDo, ToDo]);
    }

    #[test]
    fn without_a_step_all_is_done_only_where_the_account_is_complete() {
        assert_eq!(at(State::Complete, None), [StepState::Done; 7]);
        assert_eq!(at(State::Working, None), [StepState::ToDo; 7]);
        assert_eq!(at(State::Failed, None), [StepState::ToDo; 7]);
    }
}
