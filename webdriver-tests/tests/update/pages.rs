//! What an outdated page says, in every language, light and dark: nothing is cut, and nothing else is said beside it.

use anyhow::{Context, Result, ensure};
use keystead_webdriver_tests::fit::{LANGUAGES, fits};
use keystead_webdriver_tests::rows::{Rows, output_dir};
use keystead_webdriver_tests::{BrowserKind, Company, Extension};

use crate::rooms::{COMPOSER, DRAFT, WATCHED, stays};
use crate::scene::{Scene, update_to};

/// Counts how many notices of ours could be seen at one time, at most.
const COUNT: &str = r"
    page.keysteadSeen = 0;
    const look = () => {
        const all = [...page.document.querySelectorAll('keystead-notice, keystead-update')];
        page.keysteadSeen = Math.max(page.keysteadSeen, all.filter((one) => one.checkVisibility()).length);
        page.requestAnimationFrame(look);
    };
    look();
";

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    for language in LANGUAGES {
        let name = format!("what an outdated page says fits in {language}, light and dark, and is all that is said");
        rows.add_shared(kind, &name, fit(company, kind, language));
    }
}

async fn fit(company: &Company, kind: BrowserKind, language: &str) -> Result<()> {
    let mut scene = Scene::set_up(company, kind).await?;
    // Who writes is not interrupted.
    scene.browser.find(COMPOSER).await?.send_keys(DRAFT).await?;
    let newer = Extension::packed_for_tests(kind)?;
    newer.speak(language)?;
    scene.browser.in_page(COUNT, vec![]).await?;
    update_to(&mut scene.browser, newer).await?;
    scene.says_so().await?;
    for (dark, scheme) in [(true, "dark"), (false, "light")] {
        scene.browser.prefer_dark(dark).await?;
        for width in [1280, 640] {
            scene.browser.session().set_window_rect(0, 0, width, 900).await?;
            let picture = format!("update-{language}-{scheme}-{width}-{}.png", kind.name());
            scene.browser.picture(&output_dir()?.join(picture)).await?;
            fits(scene.browser.session(), "keystead-update").await.with_context(|| format!("{scheme}, {width}"))?;
        }
    }
    // What the version before says comes some seconds later, if it comes.
    stays(&scene, WATCHED).await?;
    let seen = scene.browser.in_page("return page.keysteadSeen;", vec![]).await?;
    ensure!(seen == 1, "{seen} notices were there at one time");
    scene.browser.quit().await
}
