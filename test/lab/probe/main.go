// Command probe is what the lab's own tests run in pods: it says who calls, tries to reach others, and
// keeps one file.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	listenAddress = ":8080"
	dialTimeout   = 2 * time.Second
	fileName      = "note"
)

func main() {
	directory := os.Getenv("DATA")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /caller", caller)
	mux.HandleFunc("GET /dial", dial)
	mux.HandleFunc("GET /note", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(directory, fileName))
	})
	mux.HandleFunc("PUT /note", func(w http.ResponseWriter, r *http.Request) {
		if err := keep(filepath.Join(directory, fileName), r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	server := &http.Server{Addr: listenAddress, Handler: mux, ReadHeaderTimeout: dialTimeout}
	log.Fatal(server.ListenAndServe())
}

// caller answers with the address that the request came from.
func caller(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, host)
}

// dial answers whether a TCP connection to the address comes about.
func dial(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), dialTimeout)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.URL.Query().Get("address"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_ = connection.Close() // that it was there is all that matters
}

// keep writes a file that outlives the process.
func keep(path string, content io.Reader) error {
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
