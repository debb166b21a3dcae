//! Logins that were interrupted. What Element's own set-up did not come to is made, once, and never over an identity that is
//! hidden; and what the person typed counts for this login, not for a later one.

use keystead_core::{
    bootstrap::{login::TYPED_LIMIT, pair::Typed},
    error::Code,
    status::State,
};
use serde_json::json;

use crate::world::{Fault, World};

#[tokio::test]
async fn what_element_did_not_come_to_is_made() {
    let world = World::start().await;
    for with_identity in [false, true] {
        let account = world.hire_bare().await;
        if with_identity {
            account.publish_identity().await;
        }
        let outcome = account.start(&world, None).await.expect("nothing stops it");
        assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
        account.is_whole(&world).await.unwrap();
        let made = |name: &str| account.trace().iter().filter(|effect| effect.as_str() == name).count();
        assert_eq!((made("page make_identity"), made("page make_backup")), (usize::from(!with_identity), 1));
    }
}

#[tokio::test]
async fn no_identity_is_made_where_something_tells_of_one() {
    let world = World::start().await;
    let traces = [
        ("m.secret_storage.default_key", json!({ "key": "somebodys" })),
        ("io.keystead.recovery", json!({ "keys": { "ours": {} } })),
        ("m.cross_signing.self_signing", json!({ "encrypted": { "somebodys": {} } })),
        ("m.org.matrix.custom.backup_disabled", json!({ "disabled": true })),
    ];
    for (kind, content) in traces {
        let account = world.hire_bare().await;
        account.put(&world, kind, &content).await;
        let outcome = account.start(&world, None).await.expect("nothing stops it");
        assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::RecNoIdentity), "{kind}");
        assert!(!account.trace().iter().any(|effect| effect == "page make_backup"), "{kind}");
    }
}

#[tokio::test]
async fn what_was_typed_outlives_a_crash_while_the_homeserver_is_asked() {
    let world = World::start().await;
    for (pause, typed) in [(TYPED_LIMIT / 2, Typed::Account), (TYPED_LIMIT, Typed::Nothing)] {
        let account = world.hire().await;
        let (begun, asked) = (1, 2);
        assert_eq!(account.begin_login(Some(&account.localpart()), Some(Fault::DiesAfter(asked))).await, None);
        assert_eq!(account.trace()[begun..], ["store replace", "http whoami"]);
        assert_eq!(account.typed().await, None);
        account.wait(pause);
        assert_eq!(account.begin_login(None, None).await, Some(()));
        assert_eq!(account.typed().await, Some(typed));
    }
}

#[tokio::test]
async fn a_logout_ends_a_login_that_was_never_confirmed() {
    let world = World::start().await;
    let account = world.hire().await;
    account.begin_login(Some(&account.localpart()), Some(Fault::DiesAfter(1))).await;
    account.log_out().await;
    assert_eq!(account.begin_login(None, None).await, Some(()));
    assert_eq!(account.typed().await, Some(Typed::Nothing));
}

/// The popup goes on saying for a while what stopped an earlier run.
#[tokio::test]
async fn what_stopped_a_run_is_still_said_when_all_is_complete() {
    let world = World::start().await;
    let account = world.hire().await;
    let stopped = account.start(&world, Some(Fault::Status(4, 500))).await.expect("it ends by itself");
    assert_ne!(stopped.progress.state, State::Complete);
    let problem = stopped.progress.problem.expect("it says why");
    let finished = account.start(&world, None).await.expect("nothing stops it");
    assert_eq!((finished.progress.state, finished.progress.problem), (State::Complete, Some(problem)));
    let untroubled = world.hire().await.start(&world, None).await.expect("nothing stops it");
    assert_eq!((untroubled.progress.state, untroubled.progress.problem), (State::Complete, None));
}
