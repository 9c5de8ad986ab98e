package main

// writePlots of all runs that were written.
func writePlots(string) error { return nil }
