const go=()=>new Worker(""+new URL("Crypto-0a1b2c3d.js",import.meta.url),{type:"module"});export{go};
