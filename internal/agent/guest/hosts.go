package guest

// Hosts returns the addresses of a guest's components by instance, as the runtime reserved them; nil
// before it did. They must not be changed.
func (r *Reconciler) Hosts(id string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.records[id]; ok {
		return known.hosts
	}
	return nil
}

// keepHosts for Hosts, which others call while a worker has the record.
func (r *Reconciler) keepHosts(record *record, hosts map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	record.hosts = hosts
}
