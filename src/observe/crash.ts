/**
 * Makes `report` the one that hears of exceptions and rejections that were not caught, then ends the process with status
 * 1: its state is unknown. Node's own report would print the exception whole, secrets included. A later
 * call replaces the earlier one.
 */
export function reportCrashes(report: (thrown: unknown) => void): void {
  process.setUncaughtExceptionCaptureCallback(null);
  process.setUncaughtExceptionCaptureCallback((thrown) => {
    try {
      report(thrown);
    } finally {
      process.exit(1);
    }
  });
}
