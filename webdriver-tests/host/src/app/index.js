// The app's chunk.
import { AutoDiscovery } from "host:matrix-js-sdk";
import { dispatcher } from "./dispatcher.js";
import { MatrixChat } from "./matrix-chat.js";
import { screenFromLocation, watchHash } from "./routing.js";

/** Checks the configuration's homeserver, then starts. */
export async function loadApp(config) {
    await AutoDiscovery.fromDiscoveryConfig(config.default_server_config);
    const chat = new MatrixChat(config, screenFromLocation());
    window.matrixChat = chat;
    watchHash((screen) => chat.showScreen(screen));
    for (const event of ["mousemove", "mousedown", "keydown"]) {
        document.addEventListener(event, () => dispatcher.fire("user_activity"));
    }
    chat.start();
}
