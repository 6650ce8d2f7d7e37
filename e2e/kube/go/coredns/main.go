// Command coredns is CoreDNS with only the plugins that a test cluster needs (its stock binary links 50).
// Its own module, so that Kubernetes is built with exactly the dependencies it pins itself.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
)

func main() { coremain.Run() }
