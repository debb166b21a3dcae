// ISOLATED world, in a tab that is to be loaded again: would the person lose something by it, or be interrupted? Element
// keeps what was begun in a composer; who is writing is left alone all the same.
globalThis.keysteadBusy = () => {
  const fields = `textarea, [contenteditable], input:not([type=checkbox], [type=radio], [type=button], [type=submit],
    [type=hidden], [type=range], [type=color])`;
  // Dialogs and menus, uploads, calls and widgets, recordings, replies, messages that are not sent yet.
  const underWay = `.mx_Dialog_wrapper, .mx_ContextualMenu_wrapper, dialog[open], [aria-modal=true], .mx_UploadBar,
    .mx_LegacyCallView, .mx_LegacyCallPreview, .mx_CallView, .mx_WidgetPip, .mx_AppTile, .mx_IncomingLegacyCallToast,
    .mx_IncomingCallToast, [class*=mx_VoiceRecordComposerTile_], .mx_ReplyPreview, .mx_EventTile_sending,
    .mx_RoomStatusBar_unsentMessages`;
  const written = ({ isContentEditable, textContent, value = "" }) => (isContentEditable ? textContent : value).trim() !== "";
  return document.querySelector(underWay) !== null || [...document.querySelectorAll(fields)].some(written);
};
