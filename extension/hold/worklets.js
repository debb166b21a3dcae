// No hash can be asked of an audio worklet. One that is listed runs in the page's own thread instead, as a script of which a
// hash can be asked, on what a script processor hears: enough for how loud a voice message is, which other clients draw.
const QUANTUM = 128;
const HEARD = 1024;

const watchWorklets = () => {
  const { AudioWorkletNode, BaseAudioContext, MessageChannel, WeakSet } = window;
  if (!AudioWorkletNode) return;
  const processors = new Map();
  const served = new WeakSet();
  let given;
  let now = 0;
  let registered = false;
  let before = Promise.resolve();
  const scope = {
    AudioWorkletProcessor: class {
      port = given;
    },
    registerProcessor: (name, type) => {
      registered = true;
      processors.set(name, type);
    },
  };

  const read = (context, url) =>
    new Promise((resolve, reject) => {
      // As in a worklet, and only while it is read.
      Object.assign(window, scope);
      registered = false;
      if (!hasOwn(window, "currentTime")) defineProperty(window, "currentTime", { configurable: true, get: () => now });
      const script = document.createElement("script");
      const done = (settle) => () => {
        script.remove();
        for (const name of Object.keys(scope)) delete window[name];
        settle();
      };
      script.onload = done(() => {
        if (!registered) return reject(new DOMException("nothing registered", "AbortError"));
        // Who asks for a second one finds none: Opus is encoded in a worker then.
        served.add(context);
        resolve();
      });
      script.onerror = done(() => reject(new DOMException("not listed", "AbortError")));
      script.src = url;
      document.head.append(script);
    });
  // One after the other.
  const add = (context, url) => {
    const added = before.then(() => read(context, url));
    before = added.catch(() => {});
    return added;
  };
  defineProperty(BaseAudioContext.prototype, "audioWorklet", {
    get() {
      return served.has(this) ? undefined : { addModule: (url) => add(this, url) };
    },
  });

  window.AudioWorkletNode = function (context, name, options) {
    const Processor = processors.get(name);
    if (!Processor) throw new DOMException("not registered", "InvalidStateError");
    const { port1, port2 } = new MessageChannel();
    const node = context.createScriptProcessor(HEARD, 1, 1);
    node.port = port1;
    given = port2;
    const processor = new Processor(options);
    // What was not heard in time is not counted: no quantum is left out for the processor.
    let time = context.currentTime;
    node.onaudioprocess = ({ inputBuffer, outputBuffer }) => {
      const heard = inputBuffer.getChannelData(0);
      const spoken = outputBuffer.getChannelData(0);
      for (let at = 0; at < heard.length; at += QUANTUM) {
        now = time;
        processor.process([[heard.subarray(at, at + QUANTUM)]], [[spoken.subarray(at, at + QUANTUM)]], {});
        time += QUANTUM / context.sampleRate;
      }
    };
    return node;
  };
};
