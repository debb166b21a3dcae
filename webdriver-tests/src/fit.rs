//! Does what is drawn fit its place, in every language?

use anyhow::{Result, ensure};
use serde_json::Value;
use thirtyfour::WebDriver;

/// The languages that Keystead speaks.
pub const LANGUAGES: [&str; 3] = ["en", "fr", "de"];

/// What does not fit its place, and what has no text. What scrolls by itself may be wider than it is shown.
const FAULTS: &str = r"
    const faults = [];
    const page = document.documentElement;
    if (page.scrollWidth > page.clientWidth) faults.push(`the page is ${page.scrollWidth} wide in ${page.clientWidth}`);
    const place = document.querySelector(arguments[0]);
    const drawn = place?.shadowRoot ?? place;
    if (!drawn?.querySelector('*')) return [`there is nothing in ${arguments[0]}`];
    const edge = place.getBoundingClientRect().right;
    const look = (element) => {
        if (element.closest('.visually-hidden, svg, style') || !element.checkVisibility()) return;
        const style = getComputedStyle(element);
        const name = `${element.localName}#${element.id}.${element.className}`;
        const scrolls = style.overflowX === 'auto' || style.overflowX === 'scroll' || element.localName === 'textarea';
        const block = style.display !== 'inline';
        if (block && !scrolls && element.scrollWidth > element.clientWidth + 1 && element.clientWidth) faults.push(`${name} is cut`);
        if (element.getBoundingClientRect().right > edge + 1) faults.push(`${name} sticks out`);
        const lines = element.getBoundingClientRect().height / parseFloat(style.lineHeight);
        if (element.localName === 'dd' && lines > 4.5) faults.push(`${name} has ${Math.round(lines)} lines`);
        const says = ['h1', 'h2', 'h3', 'button', 'summary', 'li', 'label', 'dt', 'dd'].includes(element.localName);
        const words = element.innerText?.trim() || element.getAttribute('aria-label');
        if (says && !words) faults.push(`${name} says nothing`);
        if (says && /\$[A-Z]+\$|__MSG_|undefined/.test(words ?? '')) faults.push(`${name} is not filled in`);
    };
    drawn.querySelectorAll('*').forEach(look);
    // What is folded away has to fit as well.
    const folded = [...drawn.querySelectorAll('details:not([open])')];
    for (const details of folded) details.open = true;
    for (const details of folded) details.querySelectorAll('*').forEach(look);
    for (const details of folded) details.open = false;
    return faults;
";

/// Checks that everything fits in what a selector finds in the window that is shown: in the element, or in its shadow.
///
/// # Errors
/// If something does not, with what.
pub async fn fits(session: &WebDriver, place: &str) -> Result<()> {
    let faults: Vec<Value> = session.execute(FAULTS, vec![place.into()]).await?.convert()?;
    ensure!(faults.is_empty(), "{faults:?}");
    Ok(())
}
