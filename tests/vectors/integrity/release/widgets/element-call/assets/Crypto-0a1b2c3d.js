onmessage=()=>{};
