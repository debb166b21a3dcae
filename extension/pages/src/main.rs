//! The extension's own pages: one document, one view by the location's hash.
//!
//! Threat: a page of the deployment can draw anything, also a false question or a false "all is well". What matters is
//! therefore said here, in the extension's own origin, where no page of the web can write. The pages hold no state: they
//! ask the background and draw its answer; texts enter the document as text only, never as markup.

mod browser;
mod catalogue;
mod dom;
mod route;
mod text;
mod view;

use std::rc::Rc;

use route::Route;

fn main() {
    wasm_bindgen_futures::spawn_local(async {
        catalogue::choose().await;
        browser::set_language(&text::language());
        let stage = Rc::new(dom::Stage::find());
        match Route::parse(&browser::location_hash()) {
            Route::Popup => view::popup::show(&stage).await,
            Route::Options => view::options::show(stage).await,
            Route::Confirm(origin) => view::confirm::show(stage, origin).await,
            Route::Keep(origin) => view::keep::show(stage, origin).await,
            Route::Recover(origin) => view::recover::show(stage, origin).await,
            Route::Phone(origin) => view::phone::show(&stage, &origin).await,
            Route::Drill(origin) => view::drill::show(stage, origin).await,
            Route::Refused(origin) => view::refused::show(stage, origin).await,
        }
    });
}
