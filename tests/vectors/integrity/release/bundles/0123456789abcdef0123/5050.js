(self.webpackChunk=self.webpackChunk||[]).push([[5050],{}]);
