<?php
// The password is made, and its answer waits for as long as this plugin is there.
add_action('wp_create_application_password', function () {
    while (file_exists(__FILE__)) {
        usleep(20_000);
        clearstatcache();
    }
});
