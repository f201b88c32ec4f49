// The lab's coordination server of a tailnet: Tailscale's own test control server with its DERP and STUN, and a
// resolver of names, all at one address of the lab's LAN. What a person does in Tailscale's admin console is done by
// POST to /lab/, see main().
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"tailscale.com/derp/derpserver"
	"tailscale.com/net/stunserver"
	"tailscale.com/net/tsaddr"
	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/dnstype"
	"tailscale.com/types/key"
)

const (
	domain   = "lab.ts.net"
	stunPort = 3478
	derpPort = 443
	// Docker's resolver of the container that this runs in.
	resolver = "127.0.0.11:53"
)

func main() {
	address := os.Args[1]
	control := &testcontrol.Server{
		ExplicitBaseURL:  "http://" + address,
		DERPMap:          derpMap(address),
		MagicDNSDomain:   domain,
		DNSConfig:        dnsConfig(address, false),
		AllNodesSameUser: true,
		AllOnline:        true,
		SSHPolicy: &tailcfg.SSHPolicy{Rules: []*tailcfg.SSHRule{{
			Principals: []*tailcfg.SSHPrincipal{{Any: true}},
			SSHUsers:   map[string]string{"*": "=", "root": "root"},
			Action:     &tailcfg.SSHAction{Accept: true},
		}}},
	}
	go serveDERP()
	go func() { log.Fatal(stunserver.New(context.Background()).ListenAndServe(fmt.Sprintf(":%d", stunPort))) }()
	go serveNames()
	mux := http.NewServeMux()
	mux.Handle("/", control)
	mux.HandleFunc("GET /lab/nodes", func(w http.ResponseWriter, _ *http.Request) {
		names := map[string]string{}
		for _, node := range control.AllNodes() {
			names[node.Addresses[0].Addr().String()] = node.Name
		}
		_ = json.NewEncoder(w).Encode(names)
	})
	// A key that has expired, or is valid again without a new log-in.
	mux.HandleFunc("POST /lab/expire/{address}/{seconds}", each(control, func(node *tailcfg.Node, r *http.Request) error {
		seconds, err := time.ParseDuration(r.PathValue("seconds") + "s")
		node.KeyExpiry = time.Now().Add(seconds)
		control.UpdateNode(node)
		return err
	}))
	mux.HandleFunc("POST /lab/exit-node/{address}", each(control, func(node *tailcfg.Node, _ *http.Request) error {
		control.SetSubnetRoutes(node.Key, tsaddr.ExitRoutes())
		return nil
	}))
	mux.HandleFunc("POST /lab/magicdns/{state}", func(w http.ResponseWriter, r *http.Request) {
		control.DNSConfig = dnsConfig(address, r.PathValue("state") == "on")
		for _, node := range control.AllNodes() {
			control.UpdateNode(node)
		}
	})
	log.Fatal(http.ListenAndServe(":80", mux))
}

// Do something with the node of an address; 404 where there is none.
func each(control *testcontrol.Server, do func(*tailcfg.Node, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		address, err := netip.ParseAddr(r.PathValue("address"))
		for _, node := range control.AllNodes() {
			if err == nil && node.Addresses[0].Addr() == address {
				if err := do(node, r); err != nil {
					http.Error(w, err.Error(), http.StatusBadRequest)
				}
				return
			}
		}
		http.Error(w, "no node has that address", http.StatusNotFound)
	}
}

// MagicDNS with the lab's resolver for all other names; or no names at all, which leaves resolv.conf as it is.
func dnsConfig(address string, magic bool) *tailcfg.DNSConfig {
	if !magic {
		return &tailcfg.DNSConfig{}
	}
	return &tailcfg.DNSConfig{Proxied: true, Domains: []string{domain}, Resolvers: []*dnstype.Resolver{{Addr: address}}}
}

func derpMap(address string) *tailcfg.DERPMap {
	node := &tailcfg.DERPNode{
		Name: "lab", RegionID: 1, HostName: address, IPv4: address, IPv6: "none",
		STUNPort: stunPort, DERPPort: derpPort, InsecureForTests: true, STUNTestIP: address,
	}
	region := &tailcfg.DERPRegion{RegionID: 1, RegionCode: "lab", RegionName: "lab", Nodes: []*tailcfg.DERPNode{node}}
	return &tailcfg.DERPMap{Regions: map[int]*tailcfg.DERPRegion{1: region}}
}

func serveDERP() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr:    fmt.Sprintf(":%d", derpPort),
		Handler: derpserver.Handler(derpserver.New(key.NewNode(), log.Printf)),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: private}},
		},
		// DERP takes the connection over, which HTTP/2 does not let it.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	log.Fatal(server.ListenAndServeTLS("", ""))
}

// A resolver on the LAN, as a home's or a provider's is: each question is passed on, and so is its answer.
func serveNames() {
	socket, err := net.ListenPacket("udp4", ":53")
	if err != nil {
		log.Fatal(err)
	}
	for {
		question := make([]byte, 4096)
		size, from, err := socket.ReadFrom(question)
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			if answer, err := ask(question[:size]); err == nil {
				_, _ = socket.WriteTo(answer, from)
			} else {
				log.Printf("names: %v", err)
			}
		}()
	}
}

func ask(question []byte) ([]byte, error) {
	connection, err := net.Dial("udp4", resolver)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := connection.Write(question); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	size, err := connection.Read(answer)
	return answer[:size], err
}
