navigator.serviceWorker.register("sw.js");c.addModule("recorder.js");new Worker(new URL(s.p+s.u(3444),s.b));
