<?php
// A CAPTCHA beside the password, as plugins put it there: nobody signs in without having solved it. The frame shows none.
add_action('login_form', function () {
    echo '<iframe title="reCAPTCHA" src="' . esc_url(includes_url('images/blank.gif')) . '" width="300" height="80"></iframe>';
});
add_filter('authenticate', fn($user) => $user instanceof WP_User ? new WP_Error('captcha', '<strong>ERROR</strong>: Please solve the CAPTCHA.') : $user, 99);
