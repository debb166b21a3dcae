registerProcessor("recorder",R);
