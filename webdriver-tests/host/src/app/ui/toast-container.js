// Draws the uppermost toast.
import { toastStore } from "../toasts.js";
import { button, h } from "./dom.js";

/** The container; it draws itself whenever the store changes. */
export function toastContainer() {
    const container = h("div.mx_ToastContainer", { role: "alert", hidden: true });
    const show = () => {
        const toasts = toastStore().getToasts();
        container.hidden = toasts.length === 0;
        container.classList.toggle("mx_ToastContainer_stacked", toasts.length > 1);
        container.replaceChildren(...toasts.slice(0, 1).map(draw));
    };
    toastStore().on("update", show);
    show();
    container.dispose = () => toastStore().off("update", show);
    return container;
}

function draw({ kind, title, props }) {
    return h(
        "div.mx_Toast_toast",
        { "data-kind": kind },
        h("div.mx_Toast_title", {}, h("h2", {}, title)),
        h(
            "div.mx_Toast_body",
            {},
            h(
                "div.mx_Toast_buttons",
                {},
                props.secondaryLabel ? button(".mx_Toast_secondary", props.secondaryLabel, props.onSecondaryClick) : null,
                button(".mx_Toast_primary", props.primaryLabel, props.onPrimaryClick),
            ),
        ),
    );
}
