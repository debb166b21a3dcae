n.u=e=>"bundles/"+n.h()+"/"+(1040===e?"unhomoglyph_data":e)+".js";importScripts(n.p+n.u(r));Promise.all([1040,5050].map(n.e,n)).then(r);
