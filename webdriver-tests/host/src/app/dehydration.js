// Device dehydration (MSC3814), where the homeserver has it.

/** Takes over a dehydrated device and makes a new one, as `options` say. */
export async function initialiseDehydrationIfEnabled(client, options = {}) {
    const crypto = client.getCrypto();
    if (await crypto.isDehydrationSupported()) await crypto.startDehydration(options);
}
