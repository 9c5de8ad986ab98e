// Package local runs a whole fleet on one machine: it keeps a home directory, claims loopback
// addresses for it, and starts a hub, cells and gateways as processes that outlive the command.
package local
