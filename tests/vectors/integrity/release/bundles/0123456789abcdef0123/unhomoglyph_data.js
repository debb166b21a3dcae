(self.webpackChunk=self.webpackChunk||[]).push([[1040],{}]);
