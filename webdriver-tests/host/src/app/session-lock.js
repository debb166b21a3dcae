// One tab at a time may use the crypto store: a claim in localStorage, with the keys Element uses.

const PING = "react_sdk_session_lock_ping";
const OWNER = "react_sdk_session_lock_owner";
const CLAIMANT = "react_sdk_session_lock_claimant";
const EXPIRY_MS = 15_000;
const PING_MS = 5_000;

/** Whether no other tab holds the lock. */
export function sessionLockIsFree() {
    const ping = localStorage.getItem(PING);
    return ping === null || Date.now() - Number(ping) >= EXPIRY_MS;
}

/** Waits for the lock; `onStolen` is awaited when another tab wants it. False if that tab won meanwhile. */
export async function takeSessionLock(onStolen) {
    const self = crypto.randomUUID();
    localStorage.setItem(CLAIMANT, self);
    while (!sessionLockIsFree()) {
        await nextStorageEvent(EXPIRY_MS);
        if (localStorage.getItem(CLAIMANT) !== self) {
            await onStolen();
            return false;
        }
    }

    const ping = () => {
        localStorage.setItem(OWNER, self);
        localStorage.setItem(PING, String(Date.now()));
    };
    ping();
    let timer = setInterval(ping, PING_MS);
    const release = () => {
        if (timer === null) return;
        clearInterval(timer);
        timer = null;
        localStorage.removeItem(PING);
        localStorage.removeItem(OWNER);
    };
    const onClaim = async ({ key }) => {
        if (key !== CLAIMANT || localStorage.getItem(CLAIMANT) === self) return;
        window.removeEventListener("storage", onClaim);
        await onStolen();
        release();
    };
    window.addEventListener("storage", onClaim);
    window.addEventListener("pagehide", release);
    return true;
}

function nextStorageEvent(timeoutMs) {
    return new Promise((resolve) => {
        const done = () => {
            clearTimeout(timer);
            window.removeEventListener("storage", done);
            resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        window.addEventListener("storage", done);
    });
}
