// The right panel: the people of a room, and one of them.
import { button, h } from "./dom.js";

/** The panel with the member list of `room`. */
export function memberPanel(client, room) {
    const panel = h("aside.mx_RightPanel#mx_RightPanel");
    const showList = () => {
        const tiles = room.getJoinedMembers().map((member) =>
            h(
                "div.mx_MemberTileView",
                { role: "button", tabindex: "0", onclick: () => showUser(member) },
                h(
                    "div.mx_MemberTileView_left",
                    {},
                    h(
                        "div.mx_DisambiguatedProfile",
                        { title: member.userId },
                        h("span.mx_DisambiguatedProfile_displayName", {}, member.name),
                    ),
                ),
                h("div.mx_MemberTileView_right"),
            ),
        );
        panel.replaceChildren(h("div.mx_MemberListView", {}, ...tiles));
    };
    const showUser = async (member) => {
        const status = await client.getCrypto().getUserVerificationStatus(member.userId);
        panel.replaceChildren(
            h(
                "div.mx_UserInfo",
                {},
                button(".mx_UserInfo_back", "Back", showList),
                h(
                    "div.mx_UserInfo_header",
                    {},
                    h("div.mx_UserInfo_profile_mxid", {}, member.userId),
                    h("div.mx_UserInfo_verification", {}, status.isVerified() ? "Verified" : "Not verified"),
                ),
            ),
        );
    };
    showList();
    return panel;
}
