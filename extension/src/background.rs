//! What the background knows while it runs.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use futures_channel::{mpsc, oneshot};
use futures_util::{
    FutureExt,
    future::{join, select},
};
use keystead_core::{
    ident::{Origin, UserId},
    policy::{InForce, Retention},
    sorted::SortedMap,
};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::{
    adapter::{clock, database::Database, later},
    deployment::{self, Live},
    integrity,
    pages::{self, Page},
    pins, policy, sessions,
};

/// How long what comes first at a start may take.
const SWEPT_WITHIN: Duration = Duration::from_secs(60);

/// Everything. Nothing in here has to survive the background: what must is in the database.
pub(crate) struct State {
    pub(crate) database: Database,
    pub(crate) policy: RefCell<InForce>,
    pub(crate) pages: RefCell<SortedMap<u32, Page>>,
    pub(crate) deployments: RefCell<SortedMap<Origin, Live>>,
    pub(crate) guard: integrity::Guard,
    pub(crate) next_command: Cell<u32>,
    pub(crate) pins: RefCell<SortedMap<(Origin, UserId), mpsc::UnboundedSender<pins::Job>>>,
    /// Whose pins are to be shared soon.
    pub(crate) sharing: RefCell<SortedMap<(Origin, UserId), mpsc::UnboundedSender<()>>>,
    ended: RefCell<SortedMap<(Origin, UserId), u32>>,
    /// What was overdue as this background was started has been seen to.
    swept: Cell<bool>,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
}

impl State {
    /// Opens the database and reads the policy. What follows from the policy for the browser is seen to afterwards: the
    /// page that started the background waits for its answer.
    pub(crate) async fn start() -> Result<Rc<Self>, JsValue> {
        let (database, given) = join(Database::open(), policy::given()).await;
        let database = database?;
        let in_force = policy::in_force(&database, given).await;
        let state = Rc::new(Self {
            database,
            policy: RefCell::new(in_force),
            pages: RefCell::default(),
            deployments: RefCell::default(),
            guard: integrity::Guard::default(),
            // What a page was asked by a background that was stopped meanwhile, it answers to this one: no id comes twice.
            next_command: Cell::new(clock::now().0 as u32),
            pins: RefCell::default(),
            sharing: RefCell::default(),
            ended: RefCell::default(),
            swept: Cell::default(),
            waiting: RefCell::default(),
        });
        integrity::apply(&state).await;
        let applied = Rc::clone(&state);
        spawn_local(async move {
            // A record that has more in it than most may need any part of the core to be read.
            later::ready().await;
            sessions::sweep(&applied).await;
            applied.swept.set(true);
            applied.changed();
            let in_place = policy::apply(&applied).await;
            integrity::enrol(&applied, &in_place).await;
            deployment::refresh(&applied).await;
        });
        Ok(state)
    }

    /// Waits until what was overdue is seen to: keys whose time is over are used by nobody.
    pub(crate) async fn swept(&self) {
        self.until(SWEPT_WITHIN, || self.swept.get().then_some(())).await;
    }

    /// Reads the policy anew and applies it.
    pub(crate) async fn policy_changed(state: &Rc<Self>) {
        let given = policy::given().await;
        state.policy.replace(policy::in_force(&state.database, given).await);
        integrity::apply(state).await;
        let in_place = policy::apply(state).await;
        integrity::enrol(state, &in_place).await;
        pages::serve_all(state);
        sessions::sweep(state).await;
        deployment::refresh(state).await;
    }

    /// How long wrapping keys stay after a logout; `None` where no policy is in force.
    pub(crate) fn retention(&self) -> Option<Retention> {
        self.policy.borrow().policy.as_ref().map(|policy| policy.retention())
    }

    /// How many sessions of an account have ended while the background ran.
    pub(crate) fn ended_sessions(&self, origin: &Origin, user: &UserId) -> u32 {
        self.ended.borrow().get(&(origin.clone(), user.clone())).copied().unwrap_or_default()
    }

    /// A session of an account ended: flows that were begun before come to nothing.
    pub(crate) fn end_session(&self, origin: &Origin, user: &UserId) {
        *self.ended.borrow_mut().entry((origin.clone(), user.clone())).or_default() += 1;
    }

    /// Changes what is known of a deployment.
    pub(crate) fn live<T>(&self, origin: &Origin, change: impl FnOnce(&mut Live) -> T) -> T {
        change(self.deployments.borrow_mut().entry(origin.clone()).or_default())
    }

    /// Something changed that somebody may wait for ([`Self::until`]).
    pub(crate) fn changed(&self) {
        for waiting in self.waiting.take() {
            let _ = waiting.send(());
        }
    }

    /// Waits until there is something, but not longer than `limit`; looks at each [`Self::changed`].
    pub(crate) async fn until<T>(&self, limit: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
        let end = clock::now().plus(limit);
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            let left = end.since(clock::now());
            if left.is_zero() {
                return None;
            }
            let (sender, changed) = oneshot::channel();
            self.waiting.borrow_mut().push(sender);
            select(changed, clock::sleep(left).boxed_local()).await;
        }
    }
}
