package controlplane

// schedulerStopSeconds: it only has to let go of its Lease.
const schedulerStopSeconds = 10

// scheduler renders one scheduler. Like the controller manager it belongs to its zone.
func (r *renderer) scheduler(c *Component) error {
	c.Size, c.StopSeconds = r.Order.Size.Scheduler, schedulerStopSeconds
	c.Args = r.clientArgs(c, SchedulerPort)
	return r.addClient(c, SchedulerPort)
}
