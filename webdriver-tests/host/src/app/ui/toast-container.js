// Draws the uppermost toast.
import { toastStore } from "../toasts.js";
import { button, h } from "./dom.js";

/** A place for the container, which is there only while there are toasts. */
export function toastPlace() {
    const place = h("div");
    const show = () => {
        const [first, ...more] = toastStore().getToasts();
        const container = first && h("div.mx_ToastContainer", { role: "alert" }, draw(first));
        container?.classList.toggle("mx_ToastContainer_stacked", more.length > 0);
        place.replaceChildren(...(container ? [container] : []));
    };
    toastStore().on("update", show);
    show();
    place.dispose = () => toastStore().off("update", show);
    return place;
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
