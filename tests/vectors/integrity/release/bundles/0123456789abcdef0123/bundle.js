(()=>{var s=document.createElement("script");s.src="bundles/0123456789abcdef0123/init.js";document.head.appendChild(s)})();
