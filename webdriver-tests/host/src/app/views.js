/** Element's numbers for what `matrixChat.state.view` says. */
export const Views = {
    LOADING: 0,
    CONFIRM_LOCK_THEFT: 1,
    WELCOME: 2,
    LOGIN: 3,
    REGISTER: 4,
    COMPLETE_SECURITY: 6,
    E2E_SETUP: 7,
    LOGGED_IN: 8,
    SOFT_LOGOUT: 9,
    LOCK_STOLEN: 10,
};

/** Views on the way in: a client that starts under one of them does not change the view by itself. */
export const BEFORE_THE_APP = [Views.LOGIN, Views.REGISTER, Views.COMPLETE_SECURITY, Views.E2E_SETUP];
