// Screens are the names in hash routes; showing one means dispatching the action behind it.
import { clientPeg } from "./client-peg.js";
import { dispatcher } from "./dispatcher.js";

/** Screens of people without a session. */
export const AUTH_SCREENS = ["register", "login", "welcome"];

const ACTION_OF = {
    login: "start_login",
    soft_logout: "start_login",
    welcome: "view_welcome_page",
    register: "view_welcome_page",
    home: "view_home_page",
    settings: "view_user_settings",
    new: "view_create_room",
};

/** Shows what a hash route names; somebody with a session is sent home from the others' screens. */
export function showScreen(screen) {
    const client = clientPeg.get();
    const member = client && !client.isGuest();
    if (screen.startsWith("room/")) dispatcher.dispatch({ action: "view_room", room_id: screen.slice(5) });
    else if (member && AUTH_SCREENS.includes(screen)) dispatcher.dispatch({ action: "view_home_page" });
    else if (ACTION_OF[screen]) dispatcher.dispatch({ action: ACTION_OF[screen] });
}

/** Shows the screen that was asked for before the login, else the last room, else the home page. */
export function showScreenAfterLogin(screen) {
    const lastRoom = localStorage.getItem("mx_last_room_id");
    if (screen) showScreen(screen);
    else if (lastRoom) dispatcher.dispatch({ action: "view_room", room_id: lastRoom });
    else dispatcher.dispatch({ action: "view_home_page" });
}
