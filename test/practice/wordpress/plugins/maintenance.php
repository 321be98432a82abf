<?php
// What `wp_maintenance()` answers while an update runs; its own file would hold for every site of this code.
if (PHP_SAPI === 'cli-server') {
    header('Retry-After: 600');
    wp_die('Briefly unavailable for scheduled maintenance. Check back in a minute.', 'Maintenance', 503);
}
