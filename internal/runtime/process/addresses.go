package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

const (
	blockBits = 28 // a guest gets a block of 16 addresses, the first of which stays free
	blockSize = 1 << (32 - blockBits)
)

// addressBook is who has which address. Blocks are numbered within the network; block 0 is the
// cell's own.
type addressBook struct {
	// Last block given: the next one is given first, so that what a deleted guest's clients still
	// dial does not become another guest at once.
	Last int `json:"last"`
	// Guests maps id and instance to addresses.
	Guests map[string]map[string]netip.Addr `json:"guests"`
}

// reserve gives each instance of a guest an address, the same one every time; changed tells whether
// the book has to be written.
func (b *addressBook) reserve(network netip.Prefix, id string, names []string) (map[string]netip.Addr, bool, error) {
	mine := b.Guests[id]
	var block netip.Prefix
	for _, address := range mine {
		block = netip.PrefixFrom(address, blockBits).Masked()
		break
	}
	last := b.Last
	if !block.IsValid() {
		var err error
		if block, last, err = b.freeBlock(network); err != nil {
			return nil, false, err
		}
	}
	taken := map[netip.Addr]bool{}
	all := map[string]netip.Addr{}
	for name, address := range mine {
		taken[address], all[name] = true, address
	}
	asked := map[string]netip.Addr{}
	for _, name := range names {
		if _, known := all[name]; !known {
			address, ok := freeAddress(block, taken)
			if !ok {
				return nil, false, fmt.Errorf("guest %s: %d components do not fit into the %d addresses of its block %s",
					id, len(all)+1, blockSize-1, block)
			}
			taken[address], all[name] = true, address
		}
		asked[name] = all[name]
	}
	if len(all) == len(mine) {
		return asked, false, nil
	}
	if b.Guests == nil {
		b.Guests = map[string]map[string]netip.Addr{}
	}
	b.Guests[id], b.Last = all, last
	return asked, true, nil
}

func freeAddress(block netip.Prefix, taken map[netip.Addr]bool) (netip.Addr, bool) {
	for address := block.Addr().Next(); block.Contains(address); address = address.Next() {
		if !taken[address] {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// freeBlock finds the next free block after the last one given.
func (b *addressBook) freeBlock(network netip.Prefix) (netip.Prefix, int, error) {
	taken := map[netip.Prefix]bool{}
	for _, addresses := range b.Guests {
		for _, address := range addresses {
			taken[netip.PrefixFrom(address, blockBits).Masked()] = true
		}
	}
	blocks := 1 << (blockBits - network.Bits())
	for i := range blocks - 1 {
		number := (max(b.Last, 0)+i)%(blocks-1) + 1
		if block := numberedBlock(network, number); !taken[block] {
			return block, number, nil
		}
	}
	return netip.Prefix{}, 0, fmt.Errorf("no address is free: all %d blocks of %s are given to the %d guests that live here; delete some, or place new ones in another cell",
		blocks-1, network, len(b.Guests))
}

func numberedBlock(network netip.Prefix, number int) netip.Prefix {
	address := network.Masked().Addr().As4()
	offset := number * blockSize
	address[1] += byte(offset >> 16)
	address[2] += byte(offset >> 8)
	address[3] += byte(offset)
	return netip.PrefixFrom(netip.AddrFrom4(address), blockBits)
}

// addresses keeps the address book on disk.
type addresses struct {
	dir     string
	network netip.Prefix
	write   func(string, []byte) error

	mu   sync.Mutex
	book addressBook
	// broken says why the book cannot be trusted.
	broken error
}

// openAddresses reads the address book. One that is missing or damaged is made again from the
// guests' manifests; when one of those is damaged too, nothing is given until that guest is whole.
func openAddresses(dir string, network netip.Prefix, write func(string, []byte) error, log *slog.Logger) (*addresses, error) {
	a := &addresses{dir: dir, network: network, write: write}
	if !network.IsValid() {
		return a, nil
	}
	found, err := readJSON(a.path(), &a.book)
	if found && err == nil {
		return a, nil
	}
	if err != nil {
		log.Warn("addresses are made again from the guests' manifests", "error", err)
		if err := os.Rename(a.path(), a.path()+".damaged"); err != nil {
			return nil, fmt.Errorf("putting a damaged file aside: %w", err)
		}
	}
	return a, a.rebuild(log)
}

func (a *addresses) path() string { return filepath.Join(a.dir, addressesFile) }

func (a *addresses) rebuild(log *slog.Logger) error {
	ids, _, err := storedGuests(a.dir)
	if err != nil {
		return err
	}
	a.book, a.broken = addressBook{Guests: map[string]map[string]netip.Addr{}}, nil
	for _, id := range ids {
		manifest, _, err := readManifest(filepath.Join(a.dir, guestsDir, id))
		if err != nil {
			a.broken = fmt.Errorf("the address book is lost and the addresses of guest %s are not known: %w; apply its manifest again or delete the guest", id, err)
			log.Error("no addresses are given", "error", a.broken)
			continue
		}
		if manifest == nil {
			continue
		}
		for _, c := range manifest.Components {
			if address, err := netip.ParseAddr(c.Host); err == nil && a.network.Contains(address) {
				if a.book.Guests[id] == nil {
					a.book.Guests[id] = map[string]netip.Addr{}
				}
				a.book.Guests[id][c.Name] = address
			}
		}
	}
	if a.broken != nil || len(a.book.Guests) == 0 {
		return nil
	}
	return a.save(&a.book)
}

func (a *addresses) save(book *addressBook) error {
	raw, err := json.Marshal(book)
	if err != nil {
		return fmt.Errorf("encoding addresses: %w", err)
	}
	if err := a.write(a.path(), raw); err != nil {
		return fmt.Errorf("writing addresses: %w", err)
	}
	return nil
}

// reserve answers once the addresses are on disk.
func (a *addresses) reserve(id string, names []string, log *slog.Logger) (map[string]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.network.IsValid() {
		return nil, errors.New("this supervisor has no network to reserve addresses from")
	}
	if a.broken != nil { // perhaps the guest that was in the way is whole again
		if err := a.rebuild(log); err != nil {
			return nil, err
		}
		if a.broken != nil {
			return nil, a.broken
		}
	}
	book := a.book.clone()
	asked, changed, err := book.reserve(a.network, id, names)
	if err != nil {
		return nil, err
	}
	if changed {
		if err := a.save(&book); err != nil {
			return nil, err
		}
		a.book = book
	}
	return asked, nil
}

// release gives a guest's addresses back.
func (a *addresses) release(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.book.Guests[id]; !known || a.broken != nil {
		return nil
	}
	book := a.book.clone()
	delete(book.Guests, id)
	if err := a.save(&book); err != nil {
		return err
	}
	a.book = book
	return nil
}

// clone copies the map of guests; a guest's own map is never changed once it is in a book.
func (b *addressBook) clone() addressBook {
	guests := make(map[string]map[string]netip.Addr, len(b.Guests)+1)
	maps.Copy(guests, b.Guests)
	return addressBook{Last: b.Last, Guests: guests}
}
