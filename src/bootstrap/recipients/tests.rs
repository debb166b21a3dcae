//! First logins and the recipients that come of them.

mod certificates;
mod logins;
mod missing;
mod organisation;
mod world;
